"""The machine behind a Docker engine."""

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pulumi

from strata import docker_engine
from strata.engine import PREVIEW_ONLY
from strata.model import Capacity, Problem, Workload
from strata.model.network import LOOPBACK
from strata.platforms.docker import observed
from strata.platforms.docker.addresses import Addresses
from strata.platforms.docker.names import STACK, ResourceNames
from strata.platforms.docker.observed import DataVolume, ObservedContainer, ObservedVolume

MIB = 1024 * 1024
DISK_FREE_MINIMUM_MIB = 1024
"""With less, an update would fail half way: PostgreSQL alone writes 64 MiB when it starts."""

ROUTES = Path("/proc/net/route")

CPU_MINIMUM = 0.01
"""Docker's minimum: "Range of CPUs is from 0.01 to" the host's."""

# NVIDIA, "MIG User Guide", `nvidia-smi -L`: `  MIG 3g.20gb     Device  0: (UUID: MIG-c7384736-...)`.
MIG_LINE = re.compile(
    r"\s+MIG \S+?\.(?P<gigabytes>\d+)gb\S*\s+Device\s+(?P<device>\d+): \(UUID: (?P<uuid>MIG-[^)]+)\)"
)


@dataclass(frozen=True, kw_only=True)
class HostGpu:
    """A GPU or a MIG slice."""

    index: str
    uuid: str
    memory_mib: int


@dataclass(frozen=True, kw_only=True)
class Host:
    """Facts of a Docker host. `gpus` and `disk_free_mib` are None if they are unknown (a remote
    engine). `gpus` doesn't include GPUs in MIG mode; `mig_slices` are their slices.
    `own_containers` are this stack's containers, by id; `own_data` are its volumes with data.
    `own_subnets` are those of its networks, by name; `foreign_subnets` those of other networks of the
    engine, and `interfaces` the subnets of the host's own network interfaces, with their names.
    `volumes`: every volume of the engine, by name. `has_quotas`: volumes can have a quota; False if no
    setting asks for one. `owner` and `system` are those that the stack has now. `is_local`: the engine is
    on this machine."""

    memory_mib: int
    cpu: float
    has_gpu_runtime: bool
    gpus: tuple[HostGpu, ...] | None
    mig_slices: tuple[HostGpu, ...]
    disk_free_mib: int | None
    root_folder: str
    cgroup_version: int
    foreign_subnets: Mapping[str, IPv4Network]
    own_subnets: Mapping[str, IPv4Network]
    interfaces: Mapping[IPv4Network, str]
    own_containers: Mapping[str, ObservedContainer]
    own_data: tuple[DataVolume, ...]
    volumes: Mapping[str, ObservedVolume]
    has_quotas: bool
    owner: str
    system: str
    is_local: bool

    def capacity(self, reserved_memory_mib: int | None) -> Capacity:
        """What the stack may use. By default 10% of the memory, at least 1 GiB, is reserved."""
        default = max(1024, self.memory_mib // 10)
        return Capacity(
            memory_mib=self.memory_mib,
            reserved_memory_mib=default if reserved_memory_mib is None else reserved_memory_mib,
            cpu=self.cpu,
            gpus=None if self.gpus is None else len(self.gpus) + len(self.mig_slices),
        )

    def problems(self, workloads: Sequence[Workload], addresses: Addresses) -> Iterator[Problem]:
        """Why the stack can't run on the host."""
        # A preview for the policy packs is of every system, and replaces the data of none.
        if not (os.environ.get(PREVIEW_ONLY) and pulumi.runtime.is_dry_run()):
            yield from self._identity_problems()
        if self.disk_free_mib is not None and self.disk_free_mib < DISK_FREE_MINIMUM_MIB:
            yield Problem(
                "docker: disk",
                f"{self.disk_free_mib} MiB are free in Docker's data folder ({self.root_folder}),"
                f" {DISK_FREE_MINIMUM_MIB} MiB are required",
                "free disk space: see `docker system df` and `docker image prune`",
            )
        yield from self._address_problems(addresses)
        own_ports = frozenset[int]().union(
            *(container.published_ports for container in self.own_containers.values())
        )
        for workload in workloads:
            yield from self._cpu_problems(workload)
            for port in workload.ports:
                if port.published and (self.is_local or port.address == LOOPBACK):
                    # Of a port that the stack has now, only the address is tried.
                    number = 0 if port.published in own_ports else port.published
                    yield from _port_problems(workload, port.address, number)

    def _address_problems(self, addresses: Addresses) -> Iterator[Problem]:
        for path, range_ in addresses.ranges:
            for name, subnet in self.foreign_subnets.items():
                if subnet.overlaps(range_):
                    yield Problem(
                        path,
                        f"{range_} overlaps {subnet} of the Docker network {name}",
                        "set another private range, or remove that network",
                    )
        # The default range is one of many, so that it is rarely in use.
        for zone, range_ in addresses.zones.items():
            for subnet, name in self.interfaces.items():
                if subnet.overlaps(range_):
                    yield Problem(
                        f"strata:network.zones.{zone}",
                        f"{range_} overlaps {subnet}, which the host's interface {name} is on",
                        "set another private range",
                    )

    def _identity_problems(self) -> Iterator[Problem]:
        """Rejects to run with the containers or the data of another checkout, seed or system."""
        owners = {each.owner for each in self.own_containers.values()}
        if {*owners, *(each.owner for each in self.own_data)} - {self.owner}:
            yield Problem(
                "stack",
                "this Docker host has a stack with this name from another checkout, or from this"
                " checkout with another seed",
                "restore the seed (the file that STRATA_SEED_FILE names, or strata:seed), destroy that"
                " stack and delete its volumes, or create this one with another name: pulumi stack"
                " init NAME",
            )
        other = [each for each in self.own_data if each.system != self.system]
        if other:
            systems = ", ".join(sorted({each.system for each in other}))
            volumes = ", ".join(each.name for each in other)
            yield Problem(
                "strata:system",
                f"{self.system!r} would replace {systems}, whose data this stack has: {volumes}",
                f"set it to {systems}, or create another stack: pulumi stack init NAME; to give up the"
                " data, destroy this stack and delete these volumes: docker volume rm NAME",
            )

    def _cpu_problems(self, workload: Workload) -> Iterator[Problem]:
        resources = workload.resources
        if resources.cpu < CPU_MINIMUM:
            yield Problem(
                f"{workload.path}: cpu",
                f"{resources.cpu:g} is less than Docker accepts",
                f"set at least {CPU_MINIMUM:g}",
            )
        pinned = re.findall(r"\d+", resources.cpu_set or "")
        if any(int(core) >= self.cpu for core in pinned):
            yield Problem(
                f"{workload.path}: cpu_set",
                f"{resources.cpu_set!r} names cores that the host doesn't have",
                f"set strata:services.{workload.name}.cpuSet within 0-{self.cpu - 1:g}",
            )


def _port_problems(service: Workload, address: str, port: int) -> Iterator[Problem]:
    with socket.socket() as probe:
        # Like Docker's proxy: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                yield Problem(
                    f"service {service.name}: ports",
                    f"{address} is not an address of this machine",
                    "set strata:gateway.address to one that `ip -brief address` shows",
                )
                return
            yield Problem(
                f"service {service.name}: ports",
                f"port {port} of {address} is not available: {error.strerror}",
                "set another under strata:ports, or stop the program that listens there"
                f" (`ss -ltnp 'sport = :{port}'` shows it)",
            )


def discover(client: Any, names: ResourceNames, *, needs_quotas: bool = False) -> Host:
    """Reads the facts from the engine. `client` is a `docker.DockerClient`. `needs_quotas`: a setting
    asks for a volume with a quota."""
    info = client.info()
    has_gpu_runtime = _has_gpu_runtime(info)
    gpus, slices = _gpus() if has_gpu_runtime else ((), ())
    subnets = _subnets(client, names.stack)
    return Host(
        memory_mib=info["MemTotal"] // MIB,
        cpu=float(info["NCPU"]),
        has_gpu_runtime=has_gpu_runtime,
        gpus=gpus,
        mig_slices=slices,
        disk_free_mib=_disk_free_mib(Path(info["DockerRootDir"])),
        root_folder=info["DockerRootDir"],
        # An engine that doesn't say so is older than its support of version 2.
        cgroup_version=int(info.get("CgroupVersion") or 1),
        foreign_subnets={name: subnet for (name, is_own), subnet in subnets.items() if not is_own},
        own_subnets={name: subnet for (name, is_own), subnet in subnets.items() if is_own},
        interfaces=_interfaces(set(subnets.values())) if docker_engine.is_local() else {},
        own_containers=observed.containers(client, names),
        own_data=observed.data_volumes(client, names),
        volumes=observed.volumes(client),
        has_quotas=needs_quotas and has_quotas(client, names),
        owner=names.owner,
        system=names.system,
        is_local=docker_engine.is_local(),
    )


def has_quotas(client: Any, names: ResourceNames) -> bool:
    """Whether the engine can limit a volume. Only the engine knows, so it creates one, and removes it."""
    from docker.errors import APIError, NotFound

    name = f"{names.prefix}-quota-probe"
    try:
        client.api.create_volume(name, driver_opts={"size": "1g"}, labels=names.labels())
    except APIError as error:
        if "no quota support" in str(error.explanation):
            return False
        raise
    with suppress(NotFound):
        client.api.remove_volume(name)
    return True


def _has_gpu_runtime(info: Mapping[str, Any]) -> bool:
    # An engine supports NVIDIA GPUs in one of three ways: the toolkit's runtime, a CDI device (listed
    # since Docker 28.2), or the toolkit's hook on the host.
    return (
        "nvidia" in info.get("Runtimes", {})
        or any(
            device["ID"].startswith("nvidia.com/gpu")
            for device in info.get("DiscoveredDevices") or ()
        )
        or shutil.which("nvidia-container-runtime-hook") is not None
    )


def _gpus() -> tuple[tuple[HostGpu, ...] | None, tuple[HostGpu, ...]]:
    """The GPUs that aren't in MIG mode (None if they are unknown), and the MIG slices."""
    if shutil.which("nvidia-smi") is None:
        return None, ()
    query = _nvidia_smi(
        "--query-gpu=index,uuid,memory.total,mig.mode.current", "--format=csv,noheader,nounits"
    )
    return whole_gpus(query), mig_slices(_nvidia_smi("-L"))


def _nvidia_smi(*arguments: str) -> str:
    result = subprocess.run(
        ["nvidia-smi", *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return result.stdout if result.returncode == 0 else ""


def whole_gpus(query: str) -> tuple[HostGpu, ...]:
    """The GPUs in the output of `nvidia-smi --query-gpu`, without those in MIG mode."""
    rows = (line.split(", ") for line in query.splitlines())
    return tuple(
        HostGpu(index=row[0], uuid=row[1], memory_mib=int(row[2]))
        for row in rows
        if row[3] != "Enabled"  # "Disabled", or "[N/A]" without MIG support.
    )


def mig_slices(listed: str) -> tuple[HostGpu, ...]:
    """The MIG slices in the output of `nvidia-smi -L`. An index consists of that of the GPU and that
    of the slice (`0:1`); the memory is that in the profile's name, in GiB."""
    slices: list[HostGpu] = []
    gpu = ""
    for line in listed.splitlines():
        if match := re.match(r"GPU (\d+):", line):
            gpu = match[1]
        elif match := MIG_LINE.match(line):
            slices.append(
                HostGpu(
                    index=f"{gpu}:{match['device']}",
                    uuid=match["uuid"],
                    memory_mib=int(match["gigabytes"]) * 1024,
                )
            )
    return tuple(slices)


def _disk_free_mib(root: Path) -> int | None:
    try:
        return shutil.disk_usage(root).free // MIB
    except OSError:  # The engine is remote, or its folder isn't readable.
        return None


def _subnets(client: Any, stack: str) -> dict[tuple[str, bool], IPv4Network]:
    """The subnets of the engine's networks, by name and by whether the network is this stack's."""
    subnets = {}
    for network in client.api.networks():
        is_own = (network.get("Labels") or {}).get(STACK) == stack
        for block in (network.get("IPAM") or {}).get("Config") or ():
            try:
                subnets[network["Name"], is_own] = IPv4Network(block["Subnet"])
            except (KeyError, ValueError):  # IPv6, or no subnet.
                continue
    return subnets


def _interfaces(networks: Collection[IPv4Network]) -> dict[IPv4Network, str]:
    """The interfaces of the host by their subnets, without those of Docker's networks."""
    try:
        routes = ROUTES.read_text()
    except OSError:  # Not Linux.
        return {}
    return {subnet: name for subnet, name in connected(routes).items() if subnet not in networks}


def connected(routes: str) -> dict[IPv4Network, str]:
    """The interfaces in a table of routes by the subnets that need no gateway. proc(5): addresses are
    hexadecimal, in the byte order of the host."""
    found = {}
    for line in routes.splitlines()[1:]:
        name, destination, gateway, _, _, _, _, mask, *_ = line.split()
        if int(gateway, 16) == 0 and int(mask, 16) != 0:
            found[IPv4Network((_address(destination), str(_address(mask))))] = name
    return found


def _address(text: str) -> IPv4Address:
    return IPv4Address(int(text, 16).to_bytes(4, sys.byteorder))
