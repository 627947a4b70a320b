"""What Docker cannot carry out of a description or of the settings, by field."""

from collections.abc import Iterable, Iterator, Mapping

from strata.config import Settings
from strata.model import GpuMode, GpuSharing, Override, Problem, Service, Workload, is_secret
from strata.model.text import listens

OTHER_PLATFORMS = ("aws", "kubernetes", "domain", "load_balancer", "image_digests")
"""Settings that say nothing of a stack on Docker."""


def of_settings(settings: Settings) -> Iterator[Problem]:
    """Settings that were given and would do nothing here."""
    for name in OTHER_PLATFORMS:
        if name in settings.model_fields_set:
            yield Problem(
                f"strata:{type(settings).model_fields[name].alias}",
                "means nothing to a stack on Docker",
                "take it out, or set strata:platform to eks or kubernetes; on Docker strata:images"
                " says where images come from"
                if name == "image_digests"
                else "take it out, or set strata:platform to eks or kubernetes",
            )


def of_processes(
    workloads: Iterable[Workload], overrides: Mapping[str, Override]
) -> Iterator[Problem]:
    """Fields that Docker cannot honour. `overrides` are the settings by name."""
    for workload in workloads:
        yield from _gpu(workload)
        for field, text in workload.visible_texts:
            if is_secret(text):
                yield Problem(
                    f"{workload.path}: {field}",
                    "holds a secret, which `docker inspect` would show",
                    "put it into a file under /run/secrets and name the file",
                )
        if isinstance(workload, Service):
            yield from _replicas(workload, overrides)


def _gpu(workload: Workload) -> Iterator[Problem]:
    gpu = workload.gpu
    if gpu.mode is not GpuMode.OFF and gpu.sharing is GpuSharing.MIG:
        yield Problem(
            f"{workload.path}: gpu.sharing",
            f"Docker does not choose a slice by its profile ({gpu.mig_profile})",
            "name the slice by its UUID in deviceIds (`nvidia-smi -L` prints MIG-...), with"
            " sharing: exclusive and no migProfile",
        )


def _replicas(service: Service, overrides: Mapping[str, Override]) -> Iterator[Problem]:
    path = f"service {service.name}"
    most = service.replicas_maximum
    if most is not None and most > service.replicas:
        changed = overrides.get(service.name)
        from_settings = changed is not None and changed.replicas_maximum is not None
        yield Problem(
            f"strata:services.{service.name}.replicasMaximum"
            if from_settings
            else f"{path}: replicas_maximum",
            "Docker has no autoscaler",
            "take it out, and give replicas as many as there are to be",
        )
    if service.replicas > 1 and any(port.published is not None for port in service.ports):
        yield Problem(
            f"{path}: replicas",
            "a port of the host leads to one replica only",
            "use one replica, or put a Gateway before it",
        )
    if service.replicas > 1 and any(listens(file.content) for file in service.files):
        yield Problem(
            f"{path}: files",
            "replicas share their files, and each listens on an address of its own",
            "use one replica, or pass the addresses in the environment or the command",
        )
