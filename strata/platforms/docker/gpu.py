"""Which services and jobs get which GPUs of a Docker host."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from strata.model import GpuMode, GpuSharing, Problem, Workload
from strata.platforms.docker.host import Host, HostGpu

Devices = tuple[str, ...]
"""GPUs by index. An empty one leaves the choice to Docker, where there is none to make."""


@dataclass(frozen=True, kw_only=True)
class GpuDecision:
    """`devices` has, for each service that runs on GPUs, those of each of its replicas;
    `cpu_fallbacks` says of those that would rather have had some why they have not."""

    devices: Mapping[str, tuple[Devices, ...]]
    cpu_fallbacks: Mapping[str, str]
    problems: tuple[Problem, ...]

    @property
    def granted(self) -> frozenset[str]:
        """The names of the services that run on GPUs."""
        return frozenset(self.devices)


class _UnavailableError(Exception):
    """Why a service cannot have what it asks for."""


@dataclass
class _Free:
    """The GPUs of the host, and who has them: one holder, or several that take turns."""

    host: tuple[HostGpu, ...]
    slices: tuple[HostGpu, ...]
    named: frozenset[str]
    holders: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    shared: set[str] = field(default_factory=set)
    """The indexes of the GPUs whose holders take turns."""

    def named_by(self, workload: Workload) -> tuple[HostGpu, ...]:
        """The very GPUs that a service names. Raises `_UnavailableError`."""
        if workload.replicas > 1 and not _takes_turns(workload):
            raise _UnavailableError("its replicas would share the GPUs that it names")
        found = {key: one for one in (*self.host, *self.slices) for key in (one.index, one.uuid)}
        for name in workload.gpu.device_ids:
            if name not in found:
                raise _UnavailableError(f"the host has no GPU {name}")
            if not self._is_open_to(workload, found[name]):
                holders = ", ".join(dict.fromkeys(self.holders[found[name].index]))
                raise _UnavailableError(f"GPU {name} is given to {holders}")
            if found[name].memory_mib < (workload.gpu.memory_mib or 0):
                raise _UnavailableError(
                    f"GPU {name} has {found[name].memory_mib} MiB of memory, and"
                    f" {workload.gpu.memory_mib} MiB are asked for"
                )
        return tuple(found[name] for name in workload.gpu.device_ids)

    def any_for(self, workload: Workload) -> tuple[tuple[HostGpu, ...], ...]:
        """GPUs for each replica of one that names none. Raises `_UnavailableError`."""
        each, least = workload.gpu.count, workload.gpu.memory_mib or 0
        # Those that take turns need one GPU between them, however many they are.
        wanted = each if _takes_turns(workload) else each * workload.replicas
        if wanted > len(self.host):
            raise _UnavailableError(f"{_gpus(wanted)} asked for and the host has {len(self.host)}")
        if sum(one.memory_mib >= least for one in self.host) < wanted:
            raise _UnavailableError(f"too few GPUs have {least} MiB of memory")
        # What others name, and what others may need for its size, is left to them if possible;
        # those that take turns go where the fewest do.
        fit = sorted(
            (
                one
                for one in self.host
                if self._is_open_to(workload, one) and one.memory_mib >= least
            ),
            key=lambda one: (
                one.index in self.named,
                len(self.holders[one.index]),
                one.memory_mib,
            ),
        )
        if len(fit) < wanted:
            holders = ", ".join(sorted({name for names in self.holders.values() for name in names}))
            raise _UnavailableError(
                f"{_gpus(wanted)} asked for and {len(fit)} of the host's {len(self.host)} left"
                f" (the others are given to {holders})"
            )
        return tuple(
            tuple(fit[(replica * each + number) % len(fit)] for number in range(each))
            for replica in range(workload.replicas)
        )

    def give(self, workload: Workload, gpus: Iterable[HostGpu]) -> None:
        for one in gpus:
            self.holders[one.index].append(workload.name)
            if _takes_turns(workload):
                self.shared.add(one.index)

    def _is_open_to(self, workload: Workload, one: HostGpu) -> bool:
        if not self.holders[one.index]:
            return True
        return _takes_turns(workload) and one.index in self.shared


def decide(workloads: Sequence[Workload], host: Host) -> GpuDecision:
    """Shares the host's GPUs out: first to those that require theirs, then to those that would
    rather have some; in each case those that share with nobody come first."""
    devices: dict[str, tuple[Devices, ...]] = {}
    cpu_fallbacks: dict[str, str] = {}
    problems: list[Problem] = []
    asking = sorted((one for one in workloads if one.gpu.mode is not GpuMode.OFF), key=_precedence)
    gpus = (*(host.gpus or ()), *host.mig_slices)
    free = _Free(host=host.gpus or (), slices=host.mig_slices, named=_named(asking, gpus))
    for workload in asking:
        try:
            devices[workload.name] = _devices(workload, host, free)
        except _UnavailableError as error:
            if workload.gpu.mode is GpuMode.PREFER:
                cpu_fallbacks[workload.name] = str(error)
            else:
                problems.append(
                    Problem(
                        f"{workload.path}: gpu",
                        f"a GPU is required, but {error}",
                        "install the NVIDIA driver and container toolkit and restart Docker, or"
                        " set strata:gpu.mode to prefer or off"
                        if not host.has_gpu_runtime
                        else "ask for what the host has (`nvidia-smi -L`), or set strata:gpu.mode"
                        " to prefer or off",
                    )
                )
    return GpuDecision(devices=devices, cpu_fallbacks=cpu_fallbacks, problems=tuple(problems))


def _devices(workload: Workload, host: Host, free: _Free) -> tuple[Devices, ...]:
    if not host.has_gpu_runtime:
        raise _UnavailableError("Docker has no NVIDIA runtime (`docker info` lists none)")
    if host.gpus is None:  # Docker is elsewhere: it will say what it lacks.
        return (workload.gpu.device_ids,) * workload.replicas
    if workload.gpu.device_ids:
        free.give(workload, free.named_by(workload))
        return (workload.gpu.device_ids,) * workload.replicas
    chosen = free.any_for(workload)
    for gpus in chosen:
        free.give(workload, gpus)
    if workload.gpu.count == len(host.gpus) and not _takes_turns(workload):
        return ((),)
    # Docker's count means the first ones, to each container that asks: two would share them while
    # others lie idle. So they are named.
    return tuple(tuple(one.index for one in gpus) for gpus in chosen)


def _takes_turns(workload: Workload) -> bool:
    return workload.gpu.sharing is GpuSharing.TIME_SLICING


def _precedence(workload: Workload) -> tuple[bool, bool, bool, int]:
    """Who cannot do without, who shares with nobody, who has no choice, and who needs the largest
    come first."""
    gpu = workload.gpu
    return (
        gpu.mode is GpuMode.PREFER,
        _takes_turns(workload),
        not gpu.device_ids,
        -(gpu.memory_mib or 0),
    )


def _named(workloads: Iterable[Workload], gpus: Iterable[HostGpu]) -> frozenset[str]:
    names = {name for workload in workloads for name in workload.gpu.device_ids}
    return frozenset(one.index for one in gpus if names & {one.index, one.uuid})


def _gpus(count: int) -> str:
    return "1 GPU is" if count == 1 else f"{count} GPUs are"
