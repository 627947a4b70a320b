"""The logical images of Strata, as plain data.

A service names a logical image (`postgres`). The catalogue maps it to an upstream image (pinned by
digest) and to the recipe that builds it here. Nothing in this file calls Docker, so it is cheap to
import.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from strata import pins
from strata.errors import ImageError, Problem, raise_problems
from strata.folders import CHECKOUT
from strata.images import stages
from strata.model.build import Build

# The base of every image that Strata builds where a registry is reachable.
UPSTREAM_ROOT = pins.DEBIAN
# A reference by digest, and a name that a repository can have (OCI distribution specification).
REFERENCE = re.compile(r"[a-z0-9][a-z0-9._/:-]*@sha256:[0-9a-f]{64}")
DEBUGGER = "debugger:"
"""The prefix of the image that adds the debugger of Python to another one: `debugger:application`."""
NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


@dataclass(frozen=True, kw_only=True)
class Image:
    """One logical image.

    `upstream` is a reference by digest, or None for an image that is always built here. Without a
    `recipe`, it's always upstream's. `parent` is the logical image that its recipe starts from
    (None: the root file system), `builder` the one that compiles or contains its programs, if any.
    `sources` are files and folders of this repository that go into the build, besides the recipe's
    own folder. `recipe_of`: another image with the same recipe, by default none. `on_demand` images
    are built only by name, or for an image that needs them. `folder`: a build context of the user,
    with a Dockerfile; `build`: which of its stages is built, and how.

    `kubernetes`: the upstream image that pods use instead, by digest. Docker's health checks run bash
    in the container, which such an image lacks; kubelet sends HTTP from outside.
    """

    name: str
    purpose: str
    upstream: str | None = None
    kubernetes: str | None = None
    recipe: bool = True
    recipe_of: str | None = None
    parent: str | None = "base"
    builder: str | None = None
    sources: tuple[str, ...] = ()
    on_demand: bool = False
    folder: Path | None = None
    build: Build | None = None

    @property
    def upstream_for_pods(self) -> str | None:
        """The upstream image that pods use; None if they use ours."""
        return self.kubernetes or self.upstream


_IMAGES = (
    Image(name="base", purpose="Debian 13 with bash and an init", parent=None),
    Image(name="python", purpose="base with Python 3.13"),
    Image(name="go", purpose="Go, which compiles other images", on_demand=True),
    Image(name="postgres", purpose="PostgreSQL 17 with pgvector", upstream=pins.POSTGRES),
    Image(
        name="postgres-backup",
        purpose="PostgreSQL 17 with pgvector and pgBackRest",
        parent="postgres",
        # Only a stack with continuous backups uses it.
        on_demand=True,
    ),
    Image(name="backup-tools", purpose="restic, for the images with backups", on_demand=True),
    # Only a stack with continuous backups uses them.
    *(
        Image(
            name=f"{name}-backup",
            purpose=f"{name} and restic",
            recipe_of="backup",
            parent=name,
            builder="backup-tools",
            on_demand=True,
        )
        for name in ("redis", "rabbitmq", "questdb", "opensearch")
    ),
    Image(name="redis", purpose="Redis 8", upstream=pins.REDIS),
    Image(name="rabbitmq", purpose="RabbitMQ 4", upstream=pins.RABBITMQ),
    Image(
        name="opensearch",
        purpose="OpenSearch 3",
        upstream=pins.OPENSEARCH,
        # Only systems with a search index use it.
        on_demand=True,
    ),
    Image(name="questdb", purpose="QuestDB 9", on_demand=True),
    # They can't be built here. Only systems with a graph, or with event sourcing, use them.
    *(
        Image(
            name=name,
            purpose=purpose,
            upstream=upstream,
            recipe=False,
            parent=None,
            on_demand=True,
        )
        for name, purpose, upstream in (
            ("memgraph", "Memgraph 3", pins.MEMGRAPH),
            ("kurrentdb", "KurrentDB 26, the successor of EventStoreDB", pins.KURRENTDB),
        )
    ),
    Image(name="nginx", purpose="NGINX, the gateway", upstream=pins.NGINX),
    Image(
        name="traefik",
        builder="go",
        purpose="Traefik 3, the other gateway",
        kubernetes=pins.TRAEFIK,
        # Only a stack that selects it uses it; compiling it takes minutes.
        on_demand=True,
    ),
    Image(
        name="oauth2-proxy",
        builder="go",
        purpose="OAuth2 Proxy 7, logins at a gateway",
        kubernetes=pins.OAUTH2_PROXY,
        # Only a gateway with logins uses it.
        on_demand=True,
    ),
    Image(
        name="application",
        purpose="the reference application: API and worker",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/application", "apps/api", "apps/worker"),
    ),
    Image(
        name="inference",
        purpose="sentence embeddings on the CPU",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/inference"),
    ),
    Image(
        name="inference-cuda",
        purpose="sentence embeddings on an NVIDIA GPU",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/inference"),
        # Gigabytes of CUDA libraries, useless without a GPU.
        on_demand=True,
    ),
    # The system node_intelligence.
    Image(name="node", purpose="base with Node.js 20"),
    Image(
        name="node-intelligence-api",
        purpose="the API of node_intelligence",
        parent="node",
        sources=tuple(
            f"apps/node_intelligence_api/{name}"
            for name in ("package.json", "package-lock.json", "src")
        ),
    ),
    Image(
        name="intelligence",
        purpose="the intelligence service of node_intelligence",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/intelligence"),
    ),
    Image(
        name="project88",
        purpose="the application of project88: web and Celery worker",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/project88"),
        # Only its system uses it.
        on_demand=True,
    ),
    *(
        Image(
            name=name,
            purpose=f"the programs of dredge: server, worker and MCP server on {device}",
            recipe_of="dredge",
            parent=parent,
            sources=("apps/__init__.py", "apps/common", "apps/inference", "apps/dredge"),
            # Only its system uses it.
            on_demand=True,
        )
        for name, parent, device in (
            ("dredge", "inference", "the CPU"),
            ("dredge-cuda", "inference-cuda", "an NVIDIA GPU"),
        )
    ),
    *(
        Image(
            name=name,
            purpose=f"the applications of datapunk, with the model on {device}",
            recipe_of="datapunk",
            parent=parent,
            sources=tuple(f"apps/{part}" for part in ("api", "application", "datapunk", "worker")),
            on_demand=True,
        )
        for name, parent, device in (
            ("datapunk", "inference", "the CPU"),
            ("datapunk-cuda", "inference-cuda", "an NVIDIA GPU"),
        )
    ),
    # Its server imports parts whose licence isn't open source: used as it is published.
    Image(
        name="consul",
        purpose="Consul 2: service discovery",
        upstream=pins.CONSUL,
        recipe=False,
        parent=None,
        on_demand=True,
    ),
    Image(
        name="mailpit",
        builder="go",
        purpose="Mailpit: receives mail and shows it",
        kubernetes=pins.MAILPIT,
        # Only systems that send mail use it.
        on_demand=True,
    ),
    Image(
        name="pgadmin",
        purpose="pgAdmin 4: pages of a PostgreSQL",
        parent="python",
        # For development, with a profile of its own.
        on_demand=True,
    ),
    Image(
        name="ray",
        purpose="Ray 2: a node of its cluster",
        parent="python",
        # Only systems with a Ray cluster use it.
        on_demand=True,
    ),
    Image(
        name="jimbot",
        purpose="the MCP server of jimbot, and the nodes of its Ray cluster",
        parent="ray",
        sources=("apps/__init__.py", "apps/common", "apps/jimbot"),
        # Only its system uses it.
        on_demand=True,
    ),
    Image(
        name="probe-server",
        purpose="one small HTTP process, for benchmarks and isolation tests",
        parent="python",
    ),
    # Observability.
    Image(
        name="prometheus",
        builder="go",
        purpose="Prometheus: metrics, alert rules and dashboards (vmui)",
        kubernetes=pins.PROMETHEUS,
    ),
    Image(name="alertmanager", purpose="Alertmanager: notifications", kubernetes=pins.ALERTMANAGER),
    Image(name="node-exporter", purpose="metrics of the host", kubernetes=pins.NODE_EXPORTER),
    Image(
        name="postgres-exporter",
        purpose="metrics of PostgreSQL",
        kubernetes=pins.POSTGRES_EXPORTER,
    ),
    Image(name="redis-exporter", purpose="metrics of Redis", kubernetes=pins.REDIS_EXPORTER),
    Image(name="elasticsearch-exporter", purpose="metrics of OpenSearch", on_demand=True),
    Image(
        name="blackbox-exporter",
        purpose="probes over HTTP, TCP and DNS",
        kubernetes=pins.BLACKBOX_EXPORTER,
    ),
    Image(name="victoria-logs", builder="go", purpose="VictoriaLogs: log store"),
    Image(name="vlagent", builder="victoria-logs", purpose="vlagent: sends logs to VictoriaLogs"),
    Image(
        name="jaeger",
        builder="go",
        purpose="Jaeger 2: trace store",
        # Compiling it takes 7 minutes.
        on_demand=True,
    ),
    Image(
        name="container-exporter",
        purpose="metrics of a stack's containers, in cAdvisor's names",
        parent="python",
    ),
    Image(
        name="gpu-exporter",
        purpose="metrics of NVIDIA GPUs, in DCGM's names",
        parent="python",
        # A system that has GPUs adds it (docs/observability.md).
        on_demand=True,
    ),
    # Only for clusters: Debian has no packages of it.
    Image(
        name="grafana",
        purpose="Grafana 13: dashboards, on Kubernetes and EKS",
        upstream=pins.GRAFANA,
        recipe=False,
        parent=None,
        on_demand=True,
    ),
    # Loki, Tempo and Mimir are AGPL: used as they are published, never built here.
    *(
        Image(
            name=name,
            purpose=purpose,
            upstream=upstream,
            recipe=False,
            parent=None,
            on_demand=True,
        )
        for name, purpose, upstream in (
            ("loki", "Loki 3: log store", pins.LOKI),
            ("tempo", "Tempo 2: trace store", pins.TEMPO),
            ("mimir", "Mimir 3: long-term metrics", pins.MIMIR),
            ("otel-collector", "OpenTelemetry collector: logs and traces", pins.OTEL_COLLECTOR),
            ("kube-state-metrics", "states of a stack's pods", pins.KUBE_STATE_METRICS),
        )
    ),
)

# The sources of the reference application aren't installed with the package.
IMAGES: Mapping[str, Image] = MappingProxyType(
    {image.name: image for image in _IMAGES if CHECKOUT or not image.sources}
)


def get(name: str) -> Image:
    """The image that a service names. Raises `ImageError` if there is none.

    `name` is a logical name, a reference by digest (`registry.example.com/app@sha256:...`), or a
    folder with a Dockerfile, relative to the program: it starts with `./`, `../` or `/`, and may have
    the options of a `Build`. The build argument PARENT of such a Dockerfile is Strata's Python image, if
    it uses the argument and the build doesn't set it.
    """
    if name in IMAGES:
        return IMAGES[name]
    if name.startswith(DEBUGGER):
        parent = name.removeprefix(DEBUGGER)
        own = f"{get(parent).name}-debugger"
        return Image(name=own, purpose="for development", recipe_of="debugger", parent=parent)
    if REFERENCE.fullmatch(name):
        return Image(
            name=name, purpose="an image of the user", upstream=name, recipe=False, parent=None
        )
    if name.startswith(("./", "../", "/")):
        return _built_from(name)
    raise ImageError(
        f"unknown image {name!r}",
        f"use one of: {', '.join(IMAGES)}; a reference by digest (NAME@sha256:...); or a folder with"
        " a Dockerfile (./NAME)",
    )


def check(names: Iterable[str]) -> None:
    """Raises `InvalidStackError` for all of these names that `get` rejects."""
    messages: dict[str, list[str]] = {}
    for name in names:
        try:
            get(name)
        except ImageError as error:
            messages.setdefault(error.fix, []).append(error.message)
    raise_problems(Problem("images", "; ".join(each), fix) for fix, each in messages.items())


def _built_from(name: str) -> Image:
    try:
        build = Build.parse(name)
    except ValueError as error:
        raise ImageError(
            f"image {name.rpartition('?')[0]}: {error}",
            "use ./NAME?target=STAGE&argument.NAME=VALUE",
        ) from None
    folder = Path(build.folder).resolve()
    dockerfile = folder / "Dockerfile"
    if not dockerfile.is_file():
        raise ImageError(f"{dockerfile} does not exist", "create it, or correct the path")
    text = dockerfile.read_text()
    _check_target(build, dockerfile, text)
    if build.credentials:
        raise ImageError(
            f"build arguments that look like credentials: {', '.join(build.credentials)}; the "
            "history of an image shows its arguments",
            "pass them as secrets, for RUN --mount=type=secret,id=NAME: "
            'secrets={"NAME": BuildSecret(environment="VARIABLE")}',
        )
    unclear = [
        secret
        for secret, source in build.secrets.items()
        if bool(source.environment) == bool(source.file)
    ]
    if unclear:
        raise ImageError(
            f"build secrets without exactly one source: {', '.join(unclear)}",
            "set environment or file, such as BuildSecret(file='~/.netrc')",
        )
    own_name = f"{folder.name}-{build.target.lower()}" if build.target else folder.name
    if NAME.fullmatch(own_name) is None or own_name in IMAGES:
        raise ImageError(
            f"the {'folder and target' if build.target else 'folder'} of an image can't be named "
            f"{own_name!r}",
            "use a-z, 0-9, '.', '_' and '-', and no name of Strata's own images",
        )
    return Image(
        name=own_name,
        purpose="an image of the user",
        parent="python" if "PARENT" in text and "PARENT" not in build.arguments else None,
        folder=folder,
        build=build,
    )


def _check_target(build: Build, dockerfile: Path, text: str) -> None:
    known = stages.read(text)
    if build.target and stages.position(known, build.target) is None:
        names = [stage.name for stage in known if stage.name]
        raise ImageError(
            f"{dockerfile} has no stage {build.target!r}",
            f"use one of: {', '.join(names)}" if names else "name one: FROM IMAGE AS NAME",
        )


def lineage(name: str) -> tuple[str, ...]:
    """The image and the images that it is built from, ancestors first."""
    image = get(name)
    return (*lineage(image.parent), name) if image.parent else (name,)
