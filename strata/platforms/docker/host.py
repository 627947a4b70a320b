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

from strata.model import Capacity, InvalidStackError, Problem, Workload
from strata.platforms.docker.names import OWNER, STACK, ResourceNames

MIB = 1024 * 1024
DISK_FREE_MINIMUM_MIB = 1024
"""Below this an update would fail half way: PostgreSQL alone writes 64 MiB when it starts."""

CPU_MINIMUM = 0.01
"""Docker's own floor: "Range of CPUs is from 0.01 to" the host's."""


# NVIDIA, "MIG User Guide", `nvidia-smi -L`: `  MIG 3g.20gb     Device  0: (UUID: MIG-c7384736-...)`.
MIG_LINE = re.compile(
    r"\s+MIG \S+?\.(?P<gigabytes>\d+)gb\S*\s+Device\s+(?P<device>\d+): \(UUID: (?P<uuid>MIG-[^)]+)\)"
)


@dataclass(frozen=True, kw_only=True)
class HostGpu:
    """A GPU, or a slice of one."""

    index: str
    uuid: str
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Host:
    """Facts of a Docker host. `gpus` and `disk_free_mib` are None where they cannot be known
    (an engine on another machine). `mig_slices` are slices of GPUs that are divided, which are not
    among `gpus`. `own_containers` are the ids of this stack's containers; `other_owner` is set
    where they belong to another checkout."""

    memory_mib: int
    cpu: float
    has_gpu_runtime: bool
    gpus: tuple[HostGpu, ...] | None
    mig_slices: tuple[HostGpu, ...]
    disk_free_mib: int | None
    root_folder: str
    foreign_subnets: Mapping[str, IPv4Network]
    own_published_ports: frozenset[int]
    own_containers: frozenset[str]
    other_owner: bool

    def capacity(self, reserved_memory_mib: int | None) -> Capacity:
        """What the stack may use; a tenth, and at least 1 GiB, is kept unless stated."""
        kept = max(1024, self.memory_mib // 10)
        return Capacity(
            memory_mib=self.memory_mib,
            reserved_memory_mib=kept if reserved_memory_mib is None else reserved_memory_mib,
            cpu=self.cpu,
            gpus=None if self.gpus is None else len(self.gpus) + len(self.mig_slices),
        )

    def problems(self, workloads: Sequence[Workload], addresses: IPv4Network) -> Iterator[Problem]:
        """What of the host is in the way of the stack."""
        if self.other_owner:
            yield Problem(
                "stack",
                "another checkout has a stack of this name on this Docker host",
                "destroy that one, or give this one a name of its own: pulumi stack init NAME",
            )
        if self.disk_free_mib is not None and self.disk_free_mib < DISK_FREE_MINIMUM_MIB:
            yield Problem(
                "docker: disk",
                f"{self.disk_free_mib} MiB are free where Docker keeps its data"
                f" ({self.root_folder}), {DISK_FREE_MINIMUM_MIB} are needed",
                "free some space, for example with `docker system df` and `docker image prune`",
            )
        for name, subnet in self.foreign_subnets.items():
            if subnet.overlaps(addresses):
                yield Problem(
                    "strata:network.range",
                    f"{addresses} overlaps {subnet} of the Docker network {name}",
                    "choose another private /16 here, or remove that network",
                )
        for workload in workloads:
            yield from self._cpu_problems(workload)
            for port in workload.ports:
                if port.published and port.published not in self.own_published_ports:
                    yield from _taken(workload, port.published)

    def _cpu_problems(self, workload: Workload) -> Iterator[Problem]:
        resources = workload.resources
        if resources.cpu < CPU_MINIMUM:
            yield Problem(
                f"{workload.path}: cpu",
                f"{resources.cpu:g} is less than Docker can give",
                f"give it at least {CPU_MINIMUM:g}",
            )
        pinned = re.findall(r"\d+", resources.cpu_set or "")
        if any(int(core) >= self.cpu for core in pinned):
            yield Problem(
                f"{workload.path}: cpu_set",
                f"{resources.cpu_set!r} names cores that the host has not",
                f"set strata:services.{workload.name}.cpuSet within 0-{self.cpu - 1:g}",
            )


def _taken(service: Workload, port: int) -> Iterator[Problem]:
    with socket.socket() as probe:
        # As Docker's proxy does: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            yield Problem(
                f"service {service.name}: ports",
                f"port {port} of 127.0.0.1 cannot be used: {error.strerror}",
                "choose another under strata:ports, or end what listens there"
                f" (`ss -ltnp 'sport = :{port}'` names it)",
            )


def discover(client: Any, names: ResourceNames) -> Host:
    """Asks the engine. `client` is a `docker.DockerClient`."""
    info = client.info()
    has_gpu_runtime = _has_gpu_runtime(info)
    own = client.api.containers(all=True, filters={"label": f"{STACK}={names.stack}"})
    gpus, slices = _gpus() if has_gpu_runtime else ((), ())
    return Host(
        memory_mib=info["MemTotal"] // MIB,
        cpu=float(info["NCPU"]),
        has_gpu_runtime=has_gpu_runtime,
        gpus=gpus,
        mig_slices=slices,
        disk_free_mib=_disk_free_mib(Path(info["DockerRootDir"])),
        root_folder=info["DockerRootDir"],
        foreign_subnets=_foreign_subnets(client, names.stack),
        own_published_ports=frozenset(
            port["PublicPort"] for one in own for port in one["Ports"] if "PublicPort" in port
        ),
        own_containers=frozenset(one["Id"] for one in own),
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


def _gpus() -> tuple[tuple[HostGpu, ...] | None, tuple[HostGpu, ...]]:
    """The GPUs that can be given whole (None where they cannot be known), and the MIG slices."""
    if shutil.which("nvidia-smi") is None:
        return None, ()
    query = _nvidia_smi(
        "--query-gpu=index,uuid,memory.total,mig.mode.current", "--format=csv,noheader,nounits"
    )
    return whole_gpus(query), mig_slices(_nvidia_smi("-L"))


def _nvidia_smi(*arguments: str) -> str:
    done = subprocess.run(
        ["nvidia-smi", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout if done.returncode == 0 else ""


def whole_gpus(query: str) -> tuple[HostGpu, ...]:
    """The GPUs of `nvidia-smi --query-gpu`, less those that are divided into slices."""
    rows = (line.split(", ") for line in query.splitlines())
    return tuple(
        HostGpu(index=row[0], uuid=row[1], memory_mib=int(row[2]))
        for row in rows
        if row[3] != "Enabled"  # "Disabled", or "[N/A]" where there is no MIG.
    )


def mig_slices(listed: str) -> tuple[HostGpu, ...]:
    """The MIG slices of `nvidia-smi -L`. Their index is that of the GPU and their own (`0:1`);
    their memory is what the name of the profile says, as GiB."""
    found: list[HostGpu] = []
    gpu = ""
    for line in listed.splitlines():
        if whole := re.match(r"GPU (\d+):", line):
            gpu = whole[1]
        elif part := MIG_LINE.match(line):
            found.append(
                HostGpu(
                    index=f"{gpu}:{part['device']}",
                    uuid=part["uuid"],
                    memory_mib=int(part["gigabytes"]) * 1024,
                )
            )
    return tuple(found)


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
        raise InvalidStackError(
            [
                Problem(
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
