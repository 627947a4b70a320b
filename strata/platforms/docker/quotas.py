"""Volumes with a quota: `strata:services.NAME.volumes.VOLUME.sizeGib`, and the errors of this setting.

Docker's driver `local` limits a volume by a project quota of the file system, if it has these. It sets the
quota of a new volume, and ignores another one for a volume that exists. To Pulumi, another quota is another
volume, so it's rejected: nothing replaces a volume with data. Until it restarts, the driver takes a volume with
the name of a removed one for that one, and sets no quota (moby issue 43891).
"""

from collections.abc import Iterator, Sequence

from strata.errors import Problem
from strata.model import Overrides, Workload
from strata.platforms.docker.host import Host
from strata.platforms.docker.names import ResourceNames
from strata.platforms.docker.observed import ObservedVolume

MOUNT = "docs/operations.md#limit-the-size-of-a-volume"


def option(gib: int | None) -> str | None:
    """The option `size` of a volume with this quota in GiB. Docker's g is 1024^3 bytes."""
    return None if gib is None else f"{gib}g"


def problems(
    workloads: Sequence[Workload], overrides: Overrides, names: ResourceNames, host: Host
) -> Iterator[Problem]:
    """Quotas that a volume can't have."""
    limited: list[str] = []
    for workload in workloads:
        sizes = overrides.sizes(workload.name)
        for name in sizes.keys() & overrides.in_memory(workload.name).keys():
            yield Problem(
                _path(workload, name),
                "the volume is in memory, where tmpfsMib is its size",
                "remove one of the two keys",
            )
        for volume in workload.volumes:
            path = _path(workload, volume.name)
            if volume.folder is None:
                size = option(sizes.get(volume.name))
                for replica in range(workload.replicas):
                    name = names.volume(workload, volume.name, replica)
                    yield from _changed(path, name, size, host.volumes.get(name))
                if size is not None:
                    limited.append(path)
            elif volume.name in sizes:
                yield Problem(
                    path,
                    f"a quota can't limit a folder of the host ({volume.folder})",
                    "remove the key, and use a folder on a file system of this size",
                )
    if limited and not host.has_quotas:
        yield Problem(
            ", ".join(limited),
            f"the file system of Docker's data folder ({host.root_folder}) has no project quotas",
            f"mount it with `prjquota` ({MOUNT}), or remove the key, and use a folder on a file system"
            " of this size (strata:services.NAME.volumes.VOLUME.folder)",
        )


def _path(workload: Workload, volume: str) -> str:
    return f"strata:services.{workload.name}.volumes.{volume}.sizeGib"


def _changed(
    path: str, name: str, size: str | None, present: ObservedVolume | None
) -> Iterator[Problem]:
    # The data of one in a folder would have to move, which is reported anyway.
    if present is None or present.folder is not None or present.size == size:
        return
    restart = f"restart Docker ({MOUNT}), " if present.size and size else ""
    yield Problem(
        path,
        f"Docker can't change the quota of volume {name} from {present.size or 'none'} to"
        f" {size or 'none'}",
        "keep the former value, or replace the volume: run `strata backup`, destroy the stack,"
        f" `docker volume rm` the volume, {restart}run `pulumi up` and `strata restore`",
    )
