"""Which services and jobs get which GPUs of a Docker host."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from platforms.docker.host import Host, HostGpu
from workload import GpuMode, GpuSharing, Job, Mistake, Service
from workload.composition import where

Devices = tuple[str, ...]
"""GPUs by index. An empty one leaves the choice to Docker, where there is none to make."""


@dataclass(frozen=True, kw_only=True)
class GpuDecision:
    """`devices` has, for each service that runs on GPUs, those of each of its replicas;
    `fallen_back` says of those that would rather have had some why they have not."""

    devices: Mapping[str, tuple[Devices, ...]]
    fallen_back: Mapping[str, str]
    mistakes: tuple[Mistake, ...]

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

    def named_by(self, process: Service | Job) -> tuple[HostGpu, ...]:
        """The very GPUs that a service names. Raises `_UnavailableError`."""
        if process.replicas > 1 and not _takes_turns(process):
            raise _UnavailableError("its replicas would share the GPUs that it names")
        found = {key: one for one in (*self.host, *self.slices) for key in (one.index, one.uuid)}
        for name in process.gpu.device_ids:
            if name not in found:
                raise _UnavailableError(f"the host has no GPU {name}")
            if not self._is_open_to(process, found[name]):
                holders = ", ".join(dict.fromkeys(self.holders[found[name].index]))
                raise _UnavailableError(f"GPU {name} is given to {holders}")
            if found[name].memory_mib < (process.gpu.memory_mib or 0):
                raise _UnavailableError(
                    f"GPU {name} has {found[name].memory_mib} MiB of memory, and"
                    f" {process.gpu.memory_mib} MiB are asked for"
                )
        return tuple(found[name] for name in process.gpu.device_ids)

    def any_for(self, process: Service | Job) -> tuple[tuple[HostGpu, ...], ...]:
        """GPUs for each replica of one that names none. Raises `_UnavailableError`."""
        each, least = process.gpu.count, process.gpu.memory_mib or 0
        # Those that take turns need one GPU between them, however many they are.
        wanted = each if _takes_turns(process) else each * process.replicas
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
                if self._is_open_to(process, one) and one.memory_mib >= least
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
            for replica in range(process.replicas)
        )

    def give(self, process: Service | Job, gpus: Iterable[HostGpu]) -> None:
        for one in gpus:
            self.holders[one.index].append(process.name)
            if _takes_turns(process):
                self.shared.add(one.index)

    def _is_open_to(self, process: Service | Job, one: HostGpu) -> bool:
        if not self.holders[one.index]:
            return True
        return _takes_turns(process) and one.index in self.shared


def decide(processes: Sequence[Service | Job], host: Host) -> GpuDecision:
    """Shares the host's GPUs out: first to those that require theirs, then to those that would
    rather have some; in each case those that share with nobody come first."""
    devices: dict[str, tuple[Devices, ...]] = {}
    fallen_back: dict[str, str] = {}
    mistakes: list[Mistake] = []
    asking = sorted((one for one in processes if one.gpu.mode is not GpuMode.OFF), key=_precedence)
    gpus = (*(host.gpus or ()), *host.mig_slices)
    free = _Free(host=host.gpus or (), slices=host.mig_slices, named=_named(asking, gpus))
    for process in asking:
        try:
            devices[process.name] = _devices(process, host, free)
        except _UnavailableError as error:
            if process.gpu.mode is GpuMode.PREFER:
                fallen_back[process.name] = str(error)
            else:
                mistakes.append(
                    Mistake(
                        f"{where(process)}: gpu",
                        f"a GPU is required, but {error}",
                        "install the NVIDIA driver and container toolkit and restart Docker, or"
                        " set strata:gpu.mode to prefer or off"
                        if not host.has_gpu_runtime
                        else "ask for what the host has (`nvidia-smi -L`), or set strata:gpu.mode"
                        " to prefer or off",
                    )
                )
    return GpuDecision(devices=devices, fallen_back=fallen_back, mistakes=tuple(mistakes))


def _devices(process: Service | Job, host: Host, free: _Free) -> tuple[Devices, ...]:
    if not host.has_gpu_runtime:
        raise _UnavailableError("Docker has no NVIDIA runtime (`docker info` lists none)")
    if host.gpus is None:  # Docker is elsewhere: it will say what it lacks.
        return (process.gpu.device_ids,) * process.replicas
    if process.gpu.device_ids:
        free.give(process, free.named_by(process))
        return (process.gpu.device_ids,) * process.replicas
    chosen = free.any_for(process)
    for gpus in chosen:
        free.give(process, gpus)
    if process.gpu.count == len(host.gpus) and not _takes_turns(process):
        return ((),)
    # Docker's count means the first ones, to each container that asks: two would share them while
    # others lie idle. So they are named.
    return tuple(tuple(one.index for one in gpus) for gpus in chosen)


def _takes_turns(process: Service | Job) -> bool:
    return process.gpu.sharing is GpuSharing.TIME_SLICING


def _precedence(process: Service | Job) -> tuple[bool, bool, bool, int]:
    """Who cannot do without, who shares with nobody, who has no choice, and who needs the largest
    come first."""
    gpu = process.gpu
    return (
        gpu.mode is GpuMode.PREFER,
        _takes_turns(process),
        not gpu.device_ids,
        -(gpu.memory_mib or 0),
    )


def _named(processes: Iterable[Service | Job], gpus: Iterable[HostGpu]) -> frozenset[str]:
    names = {name for process in processes for name in process.gpu.device_ids}
    return frozenset(one.index for one in gpus if names & {one.index, one.uuid})


def _gpus(count: int) -> str:
    return "1 GPU is" if count == 1 else f"{count} GPUs are"
