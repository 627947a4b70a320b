"""What is known of the machine behind a Docker engine."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from platforms.docker.names import OWNER, STACK, Names
from workload import Capacity, Mistake, MistakesError, Service

MIB = 1024 * 1024
DISK_FREE_MINIMUM_MIB = 1024
"""Below this an update would fail half way: PostgreSQL alone writes 64 MiB when it starts."""

CPU_MINIMUM = 0.01
"""Docker's own floor: "Range of CPUs is from 0.01 to" the host's."""


@dataclass(frozen=True, kw_only=True)
class HostGpu:
    index: str
    uuid: str
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Host:
    """Facts of a Docker host. `gpus` and `disk_free_mib` are None where they cannot be known
    (an engine on another machine). `other_owner` is set where the containers of this stack's name
    belong to another checkout."""

    memory_mib: int
    cpu: float
    has_gpu_runtime: bool
    gpus: tuple[HostGpu, ...] | None
    disk_free_mib: int | None
    root_folder: str
    foreign_subnets: Mapping[str, IPv4Network]
    own_published_ports: frozenset[int]
    other_owner: bool

    def capacity(self, reserved_memory_mib: int | None) -> Capacity:
        """What the stack may use; a tenth, and at least 1 GiB, is kept unless stated."""
        kept = max(1024, self.memory_mib // 10)
        return Capacity(
            memory_mib=self.memory_mib,
            reserved_memory_mib=kept if reserved_memory_mib is None else reserved_memory_mib,
            cpu=self.cpu,
            gpus=len(self.gpus) if self.gpus is not None else None,
        )

    def mistakes(self, services: Sequence[Service], addresses: IPv4Network) -> Iterator[Mistake]:
        """What of the host is in the way of the stack."""
        if self.other_owner:
            yield Mistake(
                "stack",
                "another checkout has a stack of this name on this Docker host",
                "destroy that one, or give this one a name of its own: pulumi stack init NAME",
            )
        if self.disk_free_mib is not None and self.disk_free_mib < DISK_FREE_MINIMUM_MIB:
            yield Mistake(
                "docker: disk",
                f"{self.disk_free_mib} MiB are free where Docker keeps its data"
                f" ({self.root_folder}), {DISK_FREE_MINIMUM_MIB} are needed",
                "free some space, for example with `docker system df` and `docker image prune`",
            )
        for name, subnet in self.foreign_subnets.items():
            if subnet.overlaps(addresses):
                yield Mistake(
                    "strata:network.range",
                    f"{addresses} overlaps {subnet} of the Docker network {name}",
                    "choose another private /16 here, or remove that network",
                )
        for service in services:
            yield from self._cpu_mistakes(service)
            for port in service.ports:
                if port.published and port.published not in self.own_published_ports:
                    yield from _taken(service, port.published)

    def _cpu_mistakes(self, service: Service) -> Iterator[Mistake]:
        resources = service.resources
        if resources.cpu < CPU_MINIMUM:
            yield Mistake(
                f"service {service.name}: cpu",
                f"{resources.cpu:g} is less than Docker can give",
                f"give it at least {CPU_MINIMUM:g}",
            )
        pinned = re.findall(r"\d+", resources.cpu_set or "")
        if any(int(core) >= self.cpu for core in pinned):
            yield Mistake(
                f"service {service.name}: cpu_set",
                f"{resources.cpu_set!r} names cores that the host has not",
                f"set strata:services.{service.name}.cpuSet within 0-{self.cpu - 1:g}",
            )


def _taken(service: Service, port: int) -> Iterator[Mistake]:
    with socket.socket() as probe:
        # As Docker's proxy does: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            yield Mistake(
                f"service {service.name}: ports",
                f"port {port} of 127.0.0.1 cannot be used: {error.strerror}",
                "choose another under strata:ports, or end what listens there"
                f" (`ss -ltnp 'sport = :{port}'` names it)",
            )


def inspect(client: Any, names: Names) -> Host:
    """Asks the engine. `client` is a `docker.DockerClient`."""
    info = client.info()
    has_gpu_runtime = _has_gpu_runtime(info)
    own = client.api.containers(all=True, filters={"label": f"{STACK}={names.stack}"})
    return Host(
        memory_mib=info["MemTotal"] // MIB,
        cpu=float(info["NCPU"]),
        has_gpu_runtime=has_gpu_runtime,
        gpus=_gpus() if has_gpu_runtime else (),
        disk_free_mib=_disk_free_mib(Path(info["DockerRootDir"])),
        root_folder=info["DockerRootDir"],
        foreign_subnets=_foreign_subnets(client, names.stack),
        own_published_ports=frozenset(
            port["PublicPort"] for one in own for port in one["Ports"] if "PublicPort" in port
        ),
        other_owner=any(one["Labels"].get(OWNER) != names.owner for one in own),
    )


def _has_gpu_runtime(info: Mapping[str, Any]) -> bool:
    # Three ways in which an engine can hand out NVIDIA GPUs: the toolkit's runtime, a device that
    # CDI describes (listed since Docker 28.2), and the toolkit's hook beside the engine.
    return (
        "nvidia" in info.get("Runtimes", {})
        or any(
            one["ID"].startswith("nvidia.com/gpu") for one in info.get("DiscoveredDevices") or ()
        )
        or shutil.which("nvidia-container-runtime-hook") is not None
    )


def _gpus() -> tuple[HostGpu, ...] | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = subprocess.run(
        ["nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if query.returncode != 0:
        return ()
    rows = (line.split(", ") for line in query.stdout.splitlines())
    return tuple(HostGpu(index=row[0], uuid=row[1], memory_mib=int(row[2])) for row in rows)


def _disk_free_mib(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free // MIB
    except OSError:  # The engine is on another machine, or its folder is not ours to see.
        return None


def _foreign_subnets(client: Any, stack: str) -> dict[str, IPv4Network]:
    found = {}
    for network in client.api.networks():
        if (network.get("Labels") or {}).get(STACK) == stack:
            continue
        for block in (network.get("IPAM") or {}).get("Config") or ():
            try:
                found[network["Name"]] = IPv4Network(block["Subnet"])
            except (KeyError, ValueError):  # IPv6, or none given.
                continue
    return found


def connect() -> Any:
    """A `docker.DockerClient` of the engine that the environment names, checked to answer."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        raise MistakesError(
            [
                Mistake(
                    "docker",
                    f"no Docker engine answers ({_reason(error)})",
                    "start Docker (`systemctl start docker`, or Docker Desktop), or install it:"
                    " `make up` does so on Debian as root",
                )
            ]
        ) from None
    return client


def _reason(error: Exception) -> str:
    # docker wraps requests, which wraps urllib3, which wraps the error that says why.
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return getattr(cause, "strerror", None) or str(cause)
