"""Volumes whose data is in a folder of the host: the errors of their settings.

A folder belongs to one volume. Strata gives it to the service's user (`hooks.py`), and never deletes its
content: it may have held files before the stack did.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from strata.errors import Problem
from strata.model import Volume, Workload
from strata.model.overrides import Changes
from strata.platforms.docker.host import Host
from strata.platforms.docker.names import ResourceNames

# Nothing below these is for a service's data: system folders of the Filesystem Hierarchy Standard 3.0.
SYSTEM_FOLDERS = [
    PurePosixPath(f"/{name}")
    for name in (
        *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "root", "run", "sbin"),
        *("sys", "usr", "var/cache", "var/log", "var/spool"),
    )
]
# Others use these themselves, so they can't get an owner of their own; a folder below them can.
SHARED_FOLDERS = [
    PurePosixPath(f"/{name}")
    for name in ("home", "media", "mnt", "opt", "srv", "tmp", "var", "var/lib", "var/tmp")
]
CREATE = "create it: sudo mkdir -p {folder}"


@dataclass(frozen=True, kw_only=True)
class _Binding:
    """A volume in a folder. `path`: where a problem with it is. `folder` has no symbolic links."""

    path: str
    folder: PurePosixPath


def problems(
    workloads: Sequence[Workload],
    changes: Mapping[str, Changes],
    names: ResourceNames,
    host: Host,
) -> Iterator[Problem]:
    """Folders that can't hold a volume. `changes`: what the settings change, by workload."""
    bindings: list[_Binding] = []
    planned: set[str] = set()
    for workload in workloads:
        for volume in workload.volumes:
            path = _path(workload, volume, changes.get(workload.name, {}))
            own = [names.volume(workload, volume.name, each) for each in range(workload.replicas)]
            planned.update(own)
            yield from (
                _moved(path, name, volume.folder, host.volumes[name].folder)
                for name in own
                if name in host.volumes and host.volumes[name].folder != volume.folder
            )
            if volume.folder is None:
                continue
            if workload.replicas > 1:
                yield Problem(
                    path,
                    f"each of the {workload.replicas} replicas has its own volume, and there is one"
                    " folder",
                    "use one replica, or remove the key",
                )
            found = list(_folder_problems(path, volume.folder, host))
            yield from found
            if not found:
                bindings.append(_Binding(path=path, folder=_resolved(volume.folder, host)))
    yield from _overlaps(bindings, planned, host)


def _path(workload: Workload, volume: Volume, changes: Changes) -> str:
    if "folder" in changes.get("volumes", {}).get(volume.name, {}):
        return f"strata:services.{workload.name}.volumes.{volume.name}.folder"
    return f"{workload.path}: volumes.{volume.name}.folder"


def _moved(path: str, volume: str, folder: str | None, present: str | None) -> Problem:
    """Docker ignores the options of a volume that exists, so the data would stay where it is."""
    target, source = (
        f"the folder {each}" if each else "Docker's data folder" for each in (folder, present)
    )
    return Problem(
        path,
        f"volume {volume} has its data in {source}, not in {target}",
        "move it: run `strata backup`, destroy the stack, `docker volume rm` the volume, run `pulumi up` and"
        " `strata restore`",
    )


def _folder_problems(path: str, folder: str, host: Host) -> Iterator[Problem]:
    """What is wrong with one folder alone."""
    given = PurePosixPath(folder)
    if not given.is_absolute() or str(given) != folder or ".." in given.parts:
        yield Problem(
            path, f"{folder!r} is not an absolute, plain path", "use one such as /data/postgres"
        )
        return
    resolved = _resolved(folder, host)
    shown = folder if resolved == given else f"{folder} ({resolved})"
    for system in (*SYSTEM_FOLDERS, PurePosixPath(host.root_folder)):
        if resolved.is_relative_to(system):
            yield Problem(path, f"{shown} is in the system folder {system}", _elsewhere(given))
            return
        if system.is_relative_to(resolved):
            yield Problem(path, f"{shown} contains the system folder {system}", _elsewhere(given))
            return
    if resolved in SHARED_FOLDERS or resolved.parent == PurePosixPath("/home"):
        yield Problem(
            path,
            f"{shown} is not only for this volume, whose user becomes its owner",
            _elsewhere(given),
        )
    elif host.is_local and not Path(resolved).exists():
        yield Problem(path, f"{shown} doesn't exist", CREATE.format(folder=folder))
    elif host.is_local and not Path(resolved).is_dir():
        yield Problem(path, f"{shown} is not a folder", CREATE.format(folder="another one"))


def _elsewhere(folder: PurePosixPath) -> str:
    return f"use a folder for this volume alone, such as /data/{folder.name or 'postgres'}"


def _resolved(folder: str, host: Host) -> PurePosixPath:
    """The folder without symbolic links. Those of another host are unknown."""
    return PurePosixPath(os.path.realpath(folder) if host.is_local else folder)


def _overlaps(bindings: Sequence[_Binding], planned: set[str], host: Host) -> Iterator[Problem]:
    others = {
        name: _resolved(volume.folder, host)
        for name, volume in host.volumes.items()
        if volume.folder and name not in planned
    }
    for index, binding in enumerate(bindings):
        for other in bindings[:index]:
            if relation := _relation(binding.folder, other.folder):
                yield Problem(
                    binding.path,
                    f"{binding.folder} {relation} of {other.path}: {other.folder}",
                    "give each volume its own folder, none inside another",
                )
        for name, folder in others.items():
            if relation := _relation(binding.folder, folder):
                yield Problem(
                    binding.path,
                    f"{binding.folder} {relation} of the Docker volume {name}: {folder}",
                    f"use another folder, or remove that volume: docker volume rm {name} (which keeps"
                    " the folder's content)",
                )


def _relation(folder: PurePosixPath, other: PurePosixPath) -> str:
    """How two folders overlap; empty if they don't."""
    if folder == other:
        return "is also the folder"
    if folder.is_relative_to(other):
        return "is inside the folder"
    return "contains the folder" if other.is_relative_to(folder) else ""
