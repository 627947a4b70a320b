"""Which workloads get which GPUs of a Docker host."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from strata.model import GpuMode, GpuSharing, Workload
from strata.platforms.docker.host import Host, HostGpu
from strata.platforms.gpu import GpuDecision, UnavailableError, assign

DeviceIds = tuple[str, ...]
"""GPUs by index or UUID. An empty one means all GPUs of the host."""


@dataclass
class _GpuPool:
    """The GPUs of the host and the workloads that use each: one, or several that time-slice it."""

    host: tuple[HostGpu, ...]
    slices: tuple[HostGpu, ...]
    reserved: frozenset[str]
    """The indexes of the GPUs that workloads request by id."""
    users: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    shared: set[str] = field(default_factory=set)
    """The indexes of the time-sliced GPUs."""

    def select_requested(self, workload: Workload) -> tuple[HostGpu, ...]:
        """The GPUs that a workload requests by id. Raises `UnavailableError`."""
        if workload.replicas > 1 and not _time_slices(workload):
            raise UnavailableError("its replicas would share the GPUs in its device ids")
        gpus = {key: gpu for gpu in (*self.host, *self.slices) for key in (gpu.index, gpu.uuid)}
        for name in workload.gpu.device_ids:
            if name not in gpus:
                raise UnavailableError(f"the host has no GPU {name}")
            gpu = gpus[name]
            if not self._is_available(workload, gpu):
                users = ", ".join(dict.fromkeys(self.users[gpu.index]))
                raise UnavailableError(f"GPU {name} is assigned to {users}")
            if gpu.memory_mib < (workload.gpu.memory_mib or 0):
                raise UnavailableError(
                    f"GPU {name} has {gpu.memory_mib} MiB of memory, less than the requested"
                    f" {workload.gpu.memory_mib} MiB"
                )
        return tuple(gpus[name] for name in workload.gpu.device_ids)

    def select_any(self, workload: Workload) -> tuple[tuple[HostGpu, ...], ...]:
        """GPUs for each replica of a workload without device ids. Raises `UnavailableError`."""
        each, memory_mib = workload.gpu.count, workload.gpu.memory_mib or 0
        # All replicas of a workload that time-slices fit on one GPU.
        needed = each if _time_slices(workload) else each * workload.replicas
        if needed > len(self.host):
            raise UnavailableError(f"it requests {_gpus(needed)} and the host has {len(self.host)}")
        if sum(gpu.memory_mib >= memory_mib for gpu in self.host) < needed:
            raise UnavailableError(f"too few GPUs have {memory_mib} MiB of memory")
        # GPUs that others request by id, and larger GPUs, are used last; time-slicing workloads are
        # spread evenly.
        candidates = sorted(
            (
                gpu
                for gpu in self.host
                if self._is_available(workload, gpu) and gpu.memory_mib >= memory_mib
            ),
            key=lambda gpu: (
                gpu.index in self.reserved,
                len(self.users[gpu.index]),
                gpu.memory_mib,
            ),
        )
        if len(candidates) < needed:
            users = ", ".join(sorted({name for names in self.users.values() for name in names}))
            raise UnavailableError(
                f"it requests {_gpus(needed)} and {len(candidates)} of the host's {len(self.host)}"
                f" are available (the others are assigned to {users})"
            )
        return tuple(
            tuple(candidates[(replica * each + number) % len(candidates)] for number in range(each))
            for replica in range(workload.replicas)
        )

    def assign(self, workload: Workload, gpus: Iterable[HostGpu]) -> None:
        for gpu in gpus:
            self.users[gpu.index].append(workload.name)
            if _time_slices(workload):
                self.shared.add(gpu.index)

    def _is_available(self, workload: Workload, gpu: HostGpu) -> bool:
        if not self.users[gpu.index]:
            return True
        return _time_slices(workload) and gpu.index in self.shared


def decide(workloads: Sequence[Workload], host: Host) -> GpuDecision[tuple[DeviceIds, ...]]:
    """Assigns the host's GPUs, for each replica of a workload: first to workloads that require them,
    then to those that prefer them; in both groups, exclusive use comes before time-slicing."""
    pool = _GpuPool(
        host=host.gpus or (), slices=host.mig_slices, reserved=_requested_ids(workloads, host)
    )
    remedy = (
        "request what the host has (`nvidia-smi -L`)"
        if host.has_gpu_runtime
        else "install the NVIDIA driver and container toolkit and restart Docker"
    )
    return assign(
        workloads,
        _precedence,
        lambda workload: _devices(workload, host, pool),
        f"{remedy}, or set strata:gpu.mode to prefer or off",
    )


def _devices(workload: Workload, host: Host, pool: _GpuPool) -> tuple[DeviceIds, ...]:
    if not host.has_gpu_runtime:
        raise UnavailableError("Docker has no NVIDIA runtime (`docker info` lists none)")
    if host.gpus is None:  # A remote engine: it reports missing GPUs itself.
        return (workload.gpu.device_ids,) * workload.replicas
    if workload.gpu.device_ids:
        pool.assign(workload, pool.select_requested(workload))
        return (workload.gpu.device_ids,) * workload.replicas
    selected = pool.select_any(workload)
    for gpus in selected:
        pool.assign(workload, gpus)
    if workload.gpu.count == len(host.gpus) and not _time_slices(workload):
        return ((),)
    # A count gives the first GPUs to every container that requests it, so two would share them while
    # others are idle. Indexes don't.
    return tuple(tuple(gpu.index for gpu in gpus) for gpus in selected)


def _time_slices(workload: Workload) -> bool:
    return workload.gpu.sharing is GpuSharing.TIME_SLICING


def _precedence(workload: Workload) -> tuple[bool, bool, bool, int]:
    """Required before preferred, exclusive before time-sliced, by id before by count, and the most
    memory first."""
    gpu = workload.gpu
    return (
        gpu.mode is GpuMode.PREFER,
        _time_slices(workload),
        not gpu.device_ids,
        -(gpu.memory_mib or 0),
    )


def _requested_ids(workloads: Iterable[Workload], host: Host) -> frozenset[str]:
    names = {
        name
        for workload in workloads
        if workload.gpu.mode is not GpuMode.OFF
        for name in workload.gpu.device_ids
    }
    gpus = (*(host.gpus or ()), *host.mig_slices)
    return frozenset(gpu.index for gpu in gpus if names & {gpu.index, gpu.uuid})


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
