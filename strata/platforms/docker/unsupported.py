"""The fields and settings that Docker doesn't support."""

from collections.abc import Iterator, Mapping, Sequence

from strata.config import Settings
from strata.errors import Problem
from strata.model import GpuMode, GpuSharing, HostFolder, Service, Workload, is_secret
from strata.model.checks import without_aws
from strata.model.overrides import Changes
from strata.model.text import listens
from strata.platforms.docker.names import ResourceNames

OTHER_PLATFORMS = ("aws", "kubernetes", "domain", "load_balancer", "image_digests")
"""Settings that have no effect on a stack on Docker."""

HINTS: Mapping[str, str] = {
    "image_digests": "; on Docker, strata:images selects where images come from",
    "domain": "; on Docker, only strata:gateway.acme needs it",
}

MEMORY_MIB_MINIMUM = 6
"""The lowest limit that Docker accepts."""


def settings_problems(settings: Settings) -> Iterator[Problem]:
    """Settings that would have no effect."""
    for name in OTHER_PLATFORMS:
        if name == "domain" and settings.gateway.acme is not None:
            continue
        if name in settings.model_fields_set:
            yield Problem(
                f"strata:{type(settings).model_fields[name].alias}",
                "has no effect on a stack on Docker",
                f"remove it, or set strata:platform to eks or kubernetes{HINTS.get(name, '')}",
            )


def workload_problems(
    workloads: Sequence[Workload], changes: Mapping[str, Changes], names: ResourceNames
) -> Iterator[Problem]:
    """Fields that Docker doesn't support. `changes`: what the settings change, by workload."""
    hosts = {
        names.replica(workload, replica): workload
        for workload in workloads
        for replica in range(workload.replicas)
    }
    for workload in workloads:
        if workload.name in hosts:
            yield Problem(
                workload.path,
                f"is also the host name of a replica of {hosts[workload.name].name}",
                "rename it",
            )
        gpu = workload.gpu
        if gpu.mode is not GpuMode.OFF and gpu.sharing is GpuSharing.MIG:
            yield Problem(
                f"{workload.path}: gpu.sharing",
                f"Docker doesn't choose a MIG slice by its profile ({gpu.mig_profile})",
                "name the slice by its UUID in deviceIds (`nvidia-smi -L` prints MIG-...), with"
                " sharing: exclusive and no migProfile",
            )
        for field, text in workload.visible_texts:
            if is_secret(text):
                yield Problem(
                    f"{workload.path}: {field}",
                    "contains a secret, which `docker inspect` would show",
                    "put it into a file under /run/secrets and pass the file's path",
                )
        if workload.resources.memory_mib < MEMORY_MIB_MINIMUM:
            yield Problem(
                f"{workload.path}: memory_mib",
                f"{workload.resources.memory_mib} MiB is less than Docker accepts",
                f"set at least {MEMORY_MIB_MINIMUM} MiB",
            )
        yield from _of_a_cluster(workload)
        if isinstance(workload, Service):
            yield from _replicas(workload, changes.get(workload.name, {}))
        yield from _volumes(workload, changes.get(workload.name, {}))


def _of_a_cluster(workload: Workload) -> Iterator[Problem]:
    for mount in workload.host_mounts:
        if mount.folder is HostFolder.POD_LOGS:
            yield Problem(
                f"{workload.path}: host_mounts",
                "Docker has no pods",
                f"mount {HostFolder.CONTAINERS}, which has the logs of containers",
            )
    if workload.api_access:
        yield Problem(
            f"{workload.path}: api_access",
            "Docker has no Kubernetes API",
            "add the service only to stacks on Kubernetes",
        )
    if workload.managed is not None:
        yield Problem(
            f"strata:services.{workload.name}.managed",
            "Docker has no managed services",
            "remove the key: the datastore runs in a container",
        )
    yield from without_aws(
        workload,
        "Docker has no roles of AWS",
        "set them only for stacks on EKS, and pass credentials as a secret file here",
    )
    if workload.bucket:
        yield Problem(
            f"{workload.path}: bucket",
            "Docker has no object store",
            "keep its data in a volume",
        )


def _replicas(service: Service, changes: Changes) -> Iterator[Problem]:
    most = service.replicas_maximum
    if most is not None and most > service.replicas:
        yield Problem(
            f"strata:services.{service.name}.replicasMaximum"
            if "replicas_maximum" in changes
            else f"{service.path}: replicas_maximum",
            "Docker has no autoscaler",
            "remove it, and set replicas to the number you want",
        )
    if service.replicas == 1:
        return
    if any(port.published is not None for port in service.ports):
        yield Problem(
            f"{service.path}: replicas",
            "a host port can forward to only one replica",
            "use one replica, or put a Gateway in front of it",
        )
    if any(listens(file.content) for file in service.files):
        yield Problem(
            f"{service.path}: files",
            "replicas share their files, and each listens on its own addresses",
            "use one replica, or pass the addresses in the environment or the command",
        )


def _volumes(workload: Workload, changes: Changes) -> Iterator[Problem]:
    changed = changes.get("volumes", {})
    for name, fields in changed.items():
        if "storage_class" in fields:
            yield Problem(
                f"strata:services.{workload.name}.volumes.{name}.storageClass",
                "Docker has no storage classes",
                "remove the key",
            )
    for volume in workload.volumes:
        # A class from the settings is reported above, under its key.
        if volume.storage_class is not None and "storage_class" not in changed.get(volume.name, {}):
            yield Problem(
                f"{workload.path}: volumes.{volume.name}.storage_class",
                "Docker has no storage classes",
                "set it in the settings of the stacks on Kubernetes:"
                f" strata:services.{workload.name}.volumes.{volume.name}.storageClass",
            )
