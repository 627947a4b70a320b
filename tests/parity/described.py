"""The description that every check starts from, and what each platform makes of it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pulumi

from strata.config import PlatformName, Settings
from strata.model import (
    Endpoint,
    ExternalSecret,
    GpuSharing,
    HttpProbe,
    Job,
    Port,
    Probe,
    Problem,
    Resources,
    Service,
    Workload,
    Zone,
)
from strata.model.text import parts
from strata.platforms.docker.host import HostGpu
from strata.platforms.kubernetes import checks
from strata.platforms.kubernetes.cluster import GPU_RESOURCE
from strata.stack import Stack
from tests.components import stack as on_docker
from tests.components.kubernetes import stack as on_kubernetes
from tests.parity.row import Change, Made

PORTS = (Port(name="http", number=8000), Port(name="admin", number=9000))
GPUS = (
    HostGpu(index="0", uuid="GPU-0", memory_mib=40_000),
    HostGpu(index="1", uuid="GPU-1", memory_mib=80_000),
    HostGpu(index="2", uuid="GPU-2", memory_mib=40_000),
)
HOST = replace(on_docker.HOST, has_gpu_runtime=True, gpus=GPUS)
GROUPS = (
    on_kubernetes.SYSTEM,
    on_kubernetes.gpu_group("gpu", gpus=2),
    on_kubernetes.gpu_group("large", gpus=2, gpu_memory_mib=80_000),
    on_kubernetes.gpu_group(
        "turns",
        gpus=4,
        gpu_memory_mib=80_000,
        sharing=GpuSharing.TIME_SLICING,
        gpu_resource=f"{GPU_RESOURCE}.shared",
    ),
    on_kubernetes.gpu_group(
        "slices",
        gpus=7,
        gpu_memory_mib=10_240,
        sharing=GpuSharing.MIG,
        gpu_resource="nvidia.com/mig-1g.10gb",
    ),
)


def base() -> dict[str, Workload]:
    """`client` calls `app`, which calls `server`; so does the job `task`. `store` is another."""
    return {
        "server": _service("server"),
        "store": _service("store"),
        "app": _service("app", links=(_link("server"),)),
        "client": _service("client", links=(_link("app"),)),
        "task": Job(
            name="task",
            image="probe-server",
            zone=Zone.BACKEND,
            resources=Resources(memory_mib=64, cpu=0.5),
            user="10001:10001",
            links=(_link("server"),),
        ),
    }


def _service(name: str, **more: Any) -> Service:
    return Service(
        name=name,
        image="probe-server",
        zone=Zone.BACKEND,
        probe=Probe(check=HttpProbe(port=8000)),
        resources=Resources(memory_mib=64, cpu=0.5),
        user="10001:10001",
        ports=PORTS,
        **more,
    )


def _link(server: str) -> Endpoint:
    return Endpoint(service=server, port="http", number=8000)


def changed(name: str, changes: Iterable[Change], others: Mapping[str, Change]) -> list[Workload]:
    """The base description with these changes to one service or job, and to others."""
    described = base()
    for change in changes:
        described[name] = change(described[name])
    for other, change in others.items():
        described[other] = change(described[other])
    return list(described.values())


def _describe(processes: Iterable[Workload]) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        for process in processes:
            parent = pulumi.ComponentResource("tests:parity:Part", process.name)
            stack.add([process], parent)

    return describe


def _settings(processes: Iterable[Workload], platform: PlatformName) -> Settings:
    """The settings of the stack, with every secret that a text names."""
    names = {
        part.name
        for process in processes
        for _, text in process.texts
        for part in parts(text)
        if isinstance(part, ExternalSecret)
    }
    secrets = {name: {"value": f"the value of {name}"} for name in names}
    return Settings.model_validate({"platform": platform, "secrets": secrets})


def docker(processes: Collection[Workload]) -> Made:
    """What Docker makes of it. Raises `InvalidStackError`."""
    gates: dict[str, Any] = {}

    class Healthy:
        """Stands in for the gate of services, which tests/docker sees at work."""

        def __init__(self, *_: Any) -> None:
            pass

        async def wait(self, _: str, name: str, probe: Probe, *__: Any) -> None:
            gates[name] = {"ready_within_seconds": probe.ready_within_seconds}

    class Ended(Healthy):
        """Stands in for the gate of jobs."""

        async def wait(self, _: str, name: str, **asked: int) -> None:  # type: ignore[override]
            gates[name] = asked

    with (
        patch("strata.platforms.docker.platform.HealthWaiter", Healthy),
        patch("strata.platforms.docker.platform.JobWaiter", Ended),
    ):
        settings = _settings(processes, PlatformName.DOCKER)
        made = on_docker.compose(_describe(processes), host=HOST, settings=settings)
    return Made(recorded=made.recorded, outputs=made.outputs, gates=gates)


def kubernetes(processes: Collection[Workload]) -> Made:
    """What Kubernetes makes of it. Raises `InvalidStackError`."""
    cluster = _AnyCluster(groups=GROUPS)
    settings = _settings(processes, PlatformName.KUBERNETES)
    made = on_kubernetes.compose(_describe(processes), cluster=cluster, settings=settings)
    return Made(recorded=made.recorded, outputs=made.outputs)


@dataclass(frozen=True, kw_only=True)
class _AnyCluster(on_kubernetes.FakeCluster):
    """One whose nodes are not the stack's own, as of any kubeconfig."""

    def check(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterable[Problem]:
        processes: list[Workload] = [*services, *jobs]
        yield from super().check(services, jobs)
        yield from checks.check_log_rotation(processes)
        yield from checks.check_aws_permissions(processes)
