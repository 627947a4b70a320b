"""Which services get which GPUs of a Docker host."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from platforms.docker.host import Host, HostGpu
from workload import GpuMode, Mistake, Service

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
    """The GPUs that nobody has been given yet, and who has the others."""

    host: tuple[HostGpu, ...]
    named: frozenset[str]
    holder: dict[str, str] = field(default_factory=dict)

    def named_by(self, service: Service) -> tuple[HostGpu, ...]:
        """The very GPUs that a service names. Raises `_UnavailableError`."""
        if service.replicas > 1:
            raise _UnavailableError("its replicas would share the GPUs that it names")
        found = {key: one for one in self.host for key in (one.index, one.uuid)}
        for name in service.gpu.device_ids:
            if name not in found:
                raise _UnavailableError(f"the host has no GPU {name}")
            if found[name].index in self.holder:
                raise _UnavailableError(f"GPU {name} is given to {self.holder[found[name].index]}")
            if found[name].memory_mib < (service.gpu.memory_mib or 0):
                raise _UnavailableError(
                    f"GPU {name} has {found[name].memory_mib} MiB of memory, and"
                    f" {service.gpu.memory_mib} MiB are asked for"
                )
        return tuple(found[name] for name in service.gpu.device_ids)

    def any_for(self, service: Service) -> tuple[HostGpu, ...]:
        """GPUs for all replicas of a service that names none. Raises `_UnavailableError`."""
        wanted = service.gpu.count * service.replicas
        least = service.gpu.memory_mib or 0
        if wanted > len(self.host):
            raise _UnavailableError(f"{_gpus(wanted)} asked for and the host has {len(self.host)}")
        if sum(one.memory_mib >= least for one in self.host) < wanted:
            raise _UnavailableError(f"too few GPUs have {least} MiB of memory")
        # What others name, and what others may need for its size, is left to them if possible.
        fit = sorted(
            (one for one in self.host if one.index not in self.holder and one.memory_mib >= least),
            key=lambda one: (one.index in self.named, one.memory_mib),
        )
        if len(fit) < wanted:
            holders = ", ".join(sorted(set(self.holder.values())))
            raise _UnavailableError(
                f"{_gpus(wanted)} asked for and {len(fit)} of the host's {len(self.host)} left"
                f" (the others are given to {holders})"
            )
        return tuple(fit[:wanted])

    def give(self, service: Service, gpus: Iterable[HostGpu]) -> None:
        self.holder |= {one.index: service.name for one in gpus}


def decide(services: Sequence[Service], host: Host) -> GpuDecision:
    """Shares the host's GPUs out: first to those that require theirs, then to those that would
    rather have some."""
    devices: dict[str, tuple[Devices, ...]] = {}
    fallen_back: dict[str, str] = {}
    mistakes: list[Mistake] = []
    asking = sorted((one for one in services if one.gpu.mode is not GpuMode.OFF), key=_precedence)
    free = _Free(host=host.gpus or (), named=_named(asking, host.gpus or ()))
    for service in asking:
        try:
            devices[service.name] = _devices(service, host, free)
        except _UnavailableError as error:
            if service.gpu.mode is GpuMode.PREFER:
                fallen_back[service.name] = str(error)
            else:
                mistakes.append(
                    Mistake(
                        f"service {service.name}: gpu",
                        f"a GPU is required, but {error}",
                        "install the NVIDIA driver and container toolkit and restart Docker, or"
                        " set strata:gpu.mode to prefer or off"
                        if not host.has_gpu_runtime
                        else "ask for what the host has (`nvidia-smi -L`), or set strata:gpu.mode"
                        " to prefer or off",
                    )
                )
    return GpuDecision(devices=devices, fallen_back=fallen_back, mistakes=tuple(mistakes))


def _devices(service: Service, host: Host, free: _Free) -> tuple[Devices, ...]:
    if not host.has_gpu_runtime:
        raise _UnavailableError("Docker has no NVIDIA runtime (`docker info` lists none)")
    if host.gpus is None:  # Docker is elsewhere: it will say what it lacks.
        return (service.gpu.device_ids,) * service.replicas
    if service.gpu.device_ids:
        free.give(service, free.named_by(service))
        return (service.gpu.device_ids,)
    chosen = free.any_for(service)
    free.give(service, chosen)
    each = service.gpu.count
    if each == len(host.gpus):
        return ((),)
    # Docker's count means the first ones, to each container that asks: two would share them while
    # others lie idle. So they are named.
    return tuple(
        tuple(one.index for one in chosen[replica * each : (replica + 1) * each])
        for replica in range(service.replicas)
    )


def _precedence(service: Service) -> tuple[bool, bool, int]:
    """Who cannot do without, who has no choice, and who needs the largest come first."""
    gpu = service.gpu
    return (gpu.mode is GpuMode.PREFER, not gpu.device_ids, -(gpu.memory_mib or 0))


def _named(services: Iterable[Service], gpus: Iterable[HostGpu]) -> frozenset[str]:
    names = {name for service in services for name in service.gpu.device_ids}
    return frozenset(one.index for one in gpus if names & {one.index, one.uuid})


def _gpus(count: int) -> str:
    return "1 GPU is" if count == 1 else f"{count} GPUs are"
