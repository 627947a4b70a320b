"""Which services get their GPUs on a Docker host."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from platforms.docker.host import Host
from workload import GpuMode, Mistake, Service


@dataclass(frozen=True, kw_only=True)
class GpuDecision:
    """`granted` names the services that run on a GPU, `fallen_back` says of the others why not."""

    granted: frozenset[str]
    fallen_back: dict[str, str]
    mistakes: tuple[Mistake, ...]


def decide(services: Sequence[Service], host: Host) -> GpuDecision:
    granted: set[str] = set()
    fallen_back: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for service in services:
        if service.gpu.mode is GpuMode.OFF:
            continue
        missing = list(_missing(service, host))
        if not missing:
            granted.add(service.name)
        elif service.gpu.mode is GpuMode.PREFER:
            fallen_back[service.name] = "; ".join(missing)
        else:
            mistakes.append(
                Mistake(
                    f"service {service.name}: gpu",
                    f"a GPU is required, but {'; '.join(missing)}",
                    "install the NVIDIA driver and container toolkit and restart Docker, or set"
                    " strata:gpu.mode to prefer or off",
                )
            )
    return GpuDecision(
        granted=frozenset(granted), fallen_back=fallen_back, mistakes=tuple(mistakes)
    )


def _missing(service: Service, host: Host) -> Iterator[str]:
    gpu = service.gpu
    if not host.has_gpu_runtime:
        yield "Docker has no NVIDIA runtime (`docker info` lists none)"
        return
    if host.gpus is None:
        return
    wanted = gpu.wanted * service.replicas if not gpu.device_ids else gpu.wanted
    if wanted > len(host.gpus):
        yield f"{wanted} GPUs are asked for and the host has {len(host.gpus)}"
    for device in gpu.device_ids:
        if not any(device in (one.index, one.uuid) for one in host.gpus):
            yield f"the host has no GPU {device}"
    if gpu.memory_mib is not None:
        small = [one for one in host.gpus if one.memory_mib < gpu.memory_mib]
        if len(host.gpus) - len(small) < wanted:
            yield f"too few GPUs have {gpu.memory_mib} MiB"
