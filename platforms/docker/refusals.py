"""What Docker cannot carry out of a description or of the settings, by field."""

from collections.abc import Iterable, Iterator, Mapping

from config import Settings
from workload import GpuMode, GpuSharing, Job, Mistake, Override, Service, is_secret
from workload.composition import shown_texts, where
from workload.text import listens

OTHER_PLATFORMS = ("aws", "kubernetes", "domain", "load_balancer", "image_digests")
"""Settings that say nothing of a stack on Docker."""


def of_settings(settings: Settings) -> Iterator[Mistake]:
    """Settings that were given and would do nothing here."""
    for name in OTHER_PLATFORMS:
        if name in settings.model_fields_set:
            yield Mistake(
                f"strata:{type(settings).model_fields[name].alias}",
                "means nothing to a stack on Docker",
                "take it out, or set strata:platform to eks or kubernetes; on Docker strata:images"
                " says where images come from"
                if name == "image_digests"
                else "take it out, or set strata:platform to eks or kubernetes",
            )


def of_processes(
    processes: Iterable[Service | Job], overrides: Mapping[str, Override]
) -> Iterator[Mistake]:
    """Fields that Docker cannot honour. `overrides` are the settings by name."""
    for process in processes:
        yield from _gpu(process)
        for field, text in shown_texts(process):
            if is_secret(text):
                yield Mistake(
                    f"{where(process)}: {field}",
                    "holds a secret, which `docker inspect` would show",
                    "put it into a file under /run/secrets and name the file",
                )
        if isinstance(process, Service):
            yield from _replicas(process, overrides)


def _gpu(process: Service | Job) -> Iterator[Mistake]:
    gpu = process.gpu
    if gpu.mode is not GpuMode.OFF and gpu.sharing is GpuSharing.MIG:
        yield Mistake(
            f"{where(process)}: gpu.sharing",
            f"Docker does not choose a slice by its profile ({gpu.mig_profile})",
            "name the slice by its UUID in deviceIds (`nvidia-smi -L` prints MIG-...), with"
            " sharing: exclusive and no migProfile",
        )


def _replicas(service: Service, overrides: Mapping[str, Override]) -> Iterator[Mistake]:
    path = f"service {service.name}"
    most = service.replicas_maximum
    if most is not None and most > service.replicas:
        changed = overrides.get(service.name)
        from_settings = changed is not None and changed.replicas_maximum is not None
        yield Mistake(
            f"strata:services.{service.name}.replicasMaximum"
            if from_settings
            else f"{path}: replicas_maximum",
            "Docker has no autoscaler",
            "take it out, and give replicas as many as there are to be",
        )
    if service.replicas > 1 and any(port.published is not None for port in service.ports):
        yield Mistake(
            f"{path}: replicas",
            "a port of the host leads to one replica only",
            "use one replica, or put a Gateway before it",
        )
    if service.replicas > 1 and any(listens(file.content) for file in service.files):
        yield Mistake(
            f"{path}: files",
            "replicas share their files, and each listens on an address of its own",
            "use one replica, or pass the addresses in the environment or the command",
        )
