"""What the services of a Compose file are, and which of them connect to which."""

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from strata.importer.compose_file import ComposeFile, Port, Service

ENGINES = {
    "postgres": ("postgres", "POSTGRES"),
    "pgvector": ("postgres", "POSTGRES"),
    "redis": ("redis", "REDIS"),
    "redis-stack-server": ("redis", "REDIS"),
    "valkey": ("redis", "REDIS"),
    "rabbitmq": ("rabbitmq", "RABBITMQ"),
    "opensearch": ("opensearch", "OPENSEARCH"),
    "questdb": ("questdb", "QUESTDB"),
    "memgraph": ("memgraph", "MEMGRAPH"),
    "memgraph-mage": ("memgraph", "MEMGRAPH"),
    "kurrentdb": ("kurrentdb", "KURRENTDB"),
    "eventstore": ("kurrentdb", "KURRENTDB"),
    "consul": ("consul", "CONSUL"),
}
"""The module and the name of an engine, by the last part of an image's name."""
OBSERVERS = frozenset(
    {
        "prometheus",
        "grafana",
        "grafana-oss",
        "loki",
        "promtail",
        "tempo",
        "jaeger",
        "all-in-one",
        "alertmanager",
        "cadvisor",
        "node-exporter",
        "postgres_exporter",
        "postgres-exporter",
        "redis_exporter",
        "dcgm-exporter",
        "alloy",
        "opentelemetry-collector",
        "opentelemetry-collector-contrib",
    }
)
PROXIES = frozenset(["nginx", "traefik", "caddy", "haproxy", "nginx-proxy"])

CONNECTION_SUFFIX = re.compile(
    r"_(URL|URI|DSN|HOST|HOSTNAME|ADDR|ADDRESS|SERVER|ENDPOINT|CONNECTION(_STRING)?)$"
)
HTTP_CHECK = re.compile(
    r"\b(?:curl|wget)\b.*?https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::(\d+))?(/[^\s'\"|]*)?"
)


def label(name: str) -> str:
    """A name as the host name that it is here."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def variable(name: str) -> str:
    """A name as a variable of the function `compose`."""
    code = label(name).replace("-", "_")
    taken = keyword.iskeyword(code) or code in ("stack", "configuration", "pulumi")
    return code if code[:1].isalpha() and not taken else f"service_{code}"


def camel(name: str) -> str:
    first, *rest = re.split(r"[^A-Za-z0-9]+", name.lower().strip("_"))
    return first + "".join(part.capitalize() for part in rest)


def base_name(image: str | None) -> str:
    """`pgvector` of `docker.io/pgvector/pgvector:pg16`."""
    return (image or "").partition("@")[0].rpartition("/")[2].partition(":")[0]


@dataclass(frozen=True)
class Relations:
    """The services of a file. `folder`: where the file is."""

    file: ComposeFile
    folder: Path
    cut: set[tuple[str, str]] = field(default_factory=set)
    """The clients and servers that aren't linked, because the server needs the client."""

    @cached_property
    def kept(self) -> Mapping[str, Service]:
        """Those that have a component of their own."""
        return {
            name: service
            for name, service in self.file.services.items()
            if service.build or base_name(service.image) not in OBSERVERS | PROXIES
        }

    @cached_property
    def proxies(self) -> tuple[str, ...]:
        """Those that the gateway takes the place of."""
        services = self.file.services
        return tuple(
            name
            for name, service in services.items()
            if name not in self.kept and base_name(service.image) in PROXIES
        )

    @cached_property
    def observers(self) -> tuple[str, ...]:
        """Those whose work an ObservabilityStack does."""
        others = {*self.kept, *self.proxies}
        return tuple(name for name in self.file.services if name not in others)

    @cached_property
    def engines(self) -> Mapping[str, tuple[str, str]]:
        """The module and the name of the engine of each datastore."""
        return {
            name: ENGINES[base_name(service.image)]
            for name, service in self.kept.items()
            if not service.build and base_name(service.image) in ENGINES
        }

    @cached_property
    def jobs(self) -> frozenset[str]:
        """Those that exit."""
        awaited = {
            name
            for service in self.file.services.values()
            for name, dependency in service.depends_on.items()
            if dependency.condition == "service_completed_successfully"
        }
        return frozenset(
            name
            for name, service in self.kept.items()
            if name not in self.engines
            and (name in awaited or (service.restart == "no" and not service.ports))
        )

    @cached_property
    def hosts(self) -> Mapping[str, str]:
        """The services by the host names that others use."""
        aliases = {
            str(extra[key]): name
            for name, service in self.kept.items()
            for extra in (service.model_extra or {},)
            for key in ("container_name", "hostname")
            if key in extra
        }
        return {**aliases, **{name: name for name in self.kept}}

    @cached_property
    def references(self) -> dict[str, dict[str, set[int]]]:
        """The services that each service names, with the ports."""
        return {name: self._referred(name) for name in self.kept}

    @cached_property
    def ports(self) -> Mapping[str, list[Port]]:
        return {name: self._ports_of(name) for name in self.kept}

    def first_port(self, name: str) -> Port | None:
        """The port that becomes `http`."""
        return next((p for p in self.ports[name] if p.protocol == "tcp" and not p.last), None)

    def needs(self, name: str) -> list[str]:
        """The services that a service connects to or waits for."""
        service = self.kept[name]
        linked = [each.partition(":")[0] for each in service.links]
        named = [*service.depends_on, *linked, *self.references[name]]
        return [
            each
            for each in dict.fromkeys(named)
            if each in self.kept and each != name and (name, each) not in self.cut
        ]

    def is_behind_proxy(self, name: str) -> bool:
        """Whether a proxy forwards requests to a service: it depends on it, or Traefik's labels say so."""
        named = any(name in self.file.services[each].depends_on for each in self.proxies)
        labeled = any(key.startswith("traefik.") for key in self.kept[name].labels)
        serves = name not in self.engines and name not in self.jobs and bool(self.ports[name])
        return serves and (named or labeled)

    def password_of(self, name: str, secret: str) -> str | None:
        """The datastore that a service uses and shares a secret with."""
        for server in self.needs(name):
            granted = {grant.source for grant in self.kept[server].secrets}
            if server in self.engines and secret in granted:
                return server
        return None

    def is_dependency(self, edge: tuple[str, str]) -> bool:
        """Whether the file says that the client depends on the server."""
        client, server = edge
        return server in self.kept[client].depends_on

    def named(self, value: str) -> set[str]:
        return {
            target
            for host, target in self.hosts.items()
            if re.search(rf"(^|@|://|,){re.escape(host)}(?![\w-])", value)
        }

    def called(self, value: str) -> str | None:
        """The service whose HTTP port is this URL."""
        found = re.fullmatch(r"http://([\w.-]+):(\d+)/?", value)
        server = self.hosts.get(found[1]) if found else None
        if found is None or server is None or server in self.engines or not self.ports[server]:
            return None
        return server if self.ports[server][0].target == int(found[2]) else None

    def renamed(self, value: str) -> str:
        for host, target in self.hosts.items():
            if host != label(target):
                value = re.sub(
                    rf"(^|@|://|,){re.escape(host)}(?![\w-])", rf"\1{label(target)}", value
                )
        return value

    def _referred(self, name: str) -> dict[str, set[int]]:
        """The services that the variables and the command of a service name, with the ports."""
        service = self.kept[name]
        texts = [str(value) for value in service.environment.values() if value is not None]
        texts += service.command or ()
        found: dict[str, set[int]] = {}
        for host, target in self.hosts.items():
            pattern = re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-])(?::(\d+))?")
            for text in texts:
                for match in pattern.finditer(text) if target != name else ():
                    # A lone word may be a user or a database of that name.
                    before = text[: match.start()]
                    if match[1] or text == host or before.endswith(("@", "://")):
                        found.setdefault(target, set()).update({int(match[1])} if match[1] else ())
        return found

    def _ports_of(self, name: str) -> list[Port]:
        service = self.kept[name]
        ports = {(each.target, each.protocol): each for each in (*service.expose, *service.ports)}
        used = {number for each in self.references.values() for number in each.get(name, ())}
        check = service.healthcheck and HTTP_CHECK.search(" ".join(service.healthcheck.command))
        more = [*sorted(used), *([int(check[1])] if check and check[1] else ())]
        if not ports and not more:
            more = [int(port) for port in self._exposed(service)]
        for number in more:
            ports.setdefault((number, "tcp"), Port(target=number))
        return list(ports.values())

    def _exposed(self, service: Service) -> list[str]:
        if service.build is None:
            return []
        dockerfile = self.folder / service.build.context / "Dockerfile"
        text = dockerfile.read_text(errors="replace") if dockerfile.is_file() else ""
        return re.findall(r"^EXPOSE\s+(\d+)", text, re.MULTILINE | re.IGNORECASE)
