"""Composes a stack on Pulumi mocks and records every resource that it asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks

from strata.config import Settings, read_secrets
from strata.images.source import Source
from strata.model import InvalidStackError
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker.addresses import Addresses
from strata.platforms.docker.files import FileVolumes, VolumeFile
from strata.platforms.docker.hooks import Hooks
from strata.platforms.docker.host import Host
from strata.platforms.docker.images import ImageResolver
from strata.platforms.docker.names import ResourceNames
from strata.platforms.docker.observed import ObservedContainer
from strata.platforms.docker.platform import DockerPlatform
from strata.stack import Stack
from tests.loop import own_loop

SEED = b"a seed that only tests use......"
NAMES = ResourceNames(project="strata", stack="test", system="example", owner="tests")
RANGE = IPv4Network("10.200.0.0/16")
HOST = Host(
    memory_mib=16384,
    cpu=8,
    has_gpu_runtime=False,
    gpus=(),
    mig_slices=(),
    disk_free_mib=50000,
    root_folder="/var/lib/docker",
    cgroup_version=2,
    foreign_subnets={},
    own_subnets={},
    interfaces={},
    own_containers={
        "gateway": ObservedContainer(
            name="strata-test-published-1",
            created=0,
            revision="",
            joins_when_healthy=False,
            state="running",
            is_unhealthy=False,
            networks=frozenset(),
            published_ports=frozenset({8080, 8443, 8428, 9428, 16686}),
            volumes=frozenset(),
            workload="published",
            owner=NAMES.owner,
        )
    },
    own_data=(),
    volumes={},
    has_quotas=True,
    owner=NAMES.owner,
    system=NAMES.system,
    is_local=False,
)


class _HealthyEngine:
    """Stands in for the Docker engine: has every image; every container is healthy, or has ended
    well where it need not run."""

    def __init__(self, recorded: "Recorded") -> None:
        self._recorded = recorded

    @property
    def api(self) -> "_HealthyEngine":
        return self

    def images(self) -> list[dict[str, Any]]:
        from strata.images import catalogue
        from strata.images.source import resolve

        debuggers = [
            f"{catalogue.DEBUGGER}{name}"
            for name, image in catalogue.IMAGES.items()
            if image.sources
        ]
        return [
            {"Id": f"sha256:{index:064x}", "RepoTags": [resolve(name, Source.LOCAL)]}
            | {"RepoDigests": None}
            for index, name in enumerate([*catalogue.IMAGES, *debuggers])
        ]

    def inspect_container(self, identifier: str) -> dict[str, Any]:
        container = self._recorded.inputs[identifier.removesuffix("-id")]
        if not container["mustRun"]:
            return {"State": {"Running": False, "Status": "exited", "ExitCode": 0}}
        check = {"ExitCode": 0, "End": datetime.now(UTC).isoformat()}
        health = {"Status": "healthy", "Log": [check]}
        networks = [one["name"] for one in container.get("networksAdvanced", ())]
        return {
            "RestartCount": 0,
            "State": {"Running": True, "Status": "running", "Health": health},
            "NetworkSettings": {"Networks": dict.fromkeys(networks)},
        }


@dataclass
class Recorded(Mocks):
    """What the program asked the engine for, by logical name."""

    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    """The logical name of the parent; the stack's own is empty."""
    dependencies: dict[str, frozenset[str]] = field(default_factory=dict)
    """The logical names of what must be there before."""
    as_sent: dict[str, Any] = field(default_factory=dict)
    """The inputs as the engine gets them, with secrets marked: see `plain`."""

    retained: set[str] = field(default_factory=set)
    """What stays when Pulumi deletes it."""

    protected: set[str] = field(default_factory=set)
    """What Pulumi doesn't delete."""

    replacement_triggers: dict[str, Any] = field(default_factory=dict)
    """What replaces a resource when it changes, besides its inputs."""

    created_first: set[str] = field(default_factory=set)
    """What is created before what it replaces is deleted, whatever the provider prefers."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.inputs[args.name] = dict(args.inputs)
        self.types[args.name] = args.typ
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: MockCallArgs) -> dict[str, Any]:  # type: ignore[override]
        raise AssertionError(f"the program called {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a Docker type, such as Container."""
        return {
            name: inputs
            for name, inputs in self.inputs.items()
            if self.types[name].endswith(f":{kind}")
        }

    volume_files: Mapping[str, Mapping[str, VolumeFile]] = field(default_factory=dict)
    """What the platform would write into each file volume, by the name that Docker shows."""

    @property
    def files(self) -> dict[str, str]:
        """The content of every file, by `/VOLUME/NAME`, with the logical name of the volume."""
        return {
            f"/{volume}/{name}": file.content
            for volume, inputs in self.of("Volume").items()
            for name, file in self.volume_files.get(inputs["name"], {}).items()
        }

    def service(self, name: str) -> dict[str, Any]:
        """The inputs of the first replica of a service."""
        return self.inputs[f"{name}-1"]


class _Monitor(MockMonitor):
    """The mocks do not hear of parents, of dependencies, or of what is secret; the engine does."""

    mocks: Recorded

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - gRPC names the methods
        recorded = self.mocks
        if request.type != "pulumi:pulumi:Stack":
            recorded.parents[request.name] = _name(request.parent)
            recorded.dependencies[request.name] = frozenset(map(_name, request.dependencies))
            if request.retainOnDelete:
                recorded.retained.add(request.name)
            if request.protect:
                recorded.protected.add(request.name)
            if request.deleteBeforeReplaceDefined and not request.deleteBeforeReplace:
                recorded.created_first.add(request.name)
            recorded.as_sent[request.name] = MessageToDict(request.object)
            recorded.replacement_triggers[request.name] = (
                MessageToDict(request.replacement_trigger),
                list(request.replaceOnChanges),
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _name(urn: str) -> str:
    return "" if "pulumi:pulumi:Stack" in urn.split("::")[2:3] else urn.split("::")[-1]


def plain(sent: Any) -> Any:
    """Inputs as the engine gets them, less every value that is marked as a secret."""
    if isinstance(sent, dict):
        if sent.get(rpc._special_sig_key) == rpc._special_secret_sig:
            return "(secret)"
        return {key: plain(value) for key, value in sent.items()}
    return [plain(one) for one in sent] if isinstance(sent, list) else sent


@dataclass
class Composed:
    recorded: Recorded
    outputs: dict[str, Any]
    """What the stack shows, resolved."""


def platform(
    recorded: Recorded | None = None,
    host: Host = HOST,
    generations: Mapping[str, int] | None = None,
    addresses: Addresses | None = None,
    reserved_memory_mib: int | None = None,
    external_secrets: Mapping[str, str] | None = None,
) -> DockerPlatform:
    """The Docker platform, with an engine on which every container of `recorded` is healthy."""
    recorded = recorded or Recorded()
    engine = _HealthyEngine(recorded)
    secrets = DerivedSecrets(SEED, "test", generations or {})
    files = FileVolumes(names=NAMES, host=host, secrets=secrets)
    recorded.volume_files = files.files
    return DockerPlatform(
        client=engine,
        names=NAMES,
        host=host,
        images=ImageResolver(engine, Source.LOCAL),
        # Mocks have no server for callbacks; tests/docker sees the hooks work.
        hooks=Hooks(),
        files=files,
        secrets=secrets,
        addresses=addresses or Addresses(stack=RANGE),
        reserved_memory_mib=reserved_memory_mib,
        external_secrets=external_secrets or {},
    )


@own_loop()
def compose(
    describe: Callable[[Stack], None],
    *,
    host: Host = HOST,
    settings: Settings | None = None,
    generations: Mapping[str, int] | None = None,
    recorded: Recorded | None = None,
) -> Composed:
    """Runs `describe` against the Docker platform. Raises what the program raises."""
    recorded = recorded or Recorded()
    pulumi.runtime.set_mocks(
        recorded, project="strata", stack="test", preview=False, monitor=_Monitor(recorded)
    )
    outputs: dict[str, Any] = {}

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> Any:
        stack = Stack(settings)
        describe(stack)
        network, reserved = stack.settings.network, stack.settings.host.reserved_memory_mib
        addresses = Addresses(stack=network.range or RANGE, zones=network.zones)
        external = read_secrets(stack.settings.secrets).values
        made = platform(recorded, host, generations, addresses, reserved, external)
        deployed = stack.deploy(made)
        return pulumi.Output.all(**deployed).apply(outputs.update)

    program()
    return Composed(recorded, outputs)


def refused(
    describe: Callable[[Stack], None], **options: Any
) -> tuple[InvalidStackError, Recorded]:
    """The error that `describe` ends with, and what the engine had heard by then."""
    recorded = Recorded()
    with pytest.raises(InvalidStackError) as caught:
        compose(describe, recorded=recorded, **options)
    return caught.value, recorded
