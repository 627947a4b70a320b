"""Writes the volumes of a stack to a folder.

All services with data are stopped before the first volume is read, so that the backup is of one
moment: what one of them handed on to another is in one of them at least. Each starts again as soon
as its own volumes are read.
"""

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from io import BufferedWriter
from pathlib import Path

from strata.model import InvalidStackError, Problem
from strata.ops import content, manifest
from strata.ops.errors import attempt, ended
from strata.ops.guard import undisturbed
from strata.ops.manifest import Archive, Manifest
from strata.ops.report import Report
from strata.ops.services import Services
from strata.ops.stack import DataService, DataVolume, Stack
from strata.ops.volumes import Volumes

# The services wait while their volumes are read, and gzip is what takes longest.
COMPRESSION_LEVEL = 1


def backup(stack: Stack, folder: Path, report: Report) -> Manifest:
    """Writes a backup to `folder`, which is made, or is empty.

    Raises `InvalidStackError` before anything changes, and `OpsError` after. Whatever happens, the
    services that ran run again, and `folder` holds a whole backup (`manifest.json` comes last) or
    none.
    """
    volumes = Volumes(stack.client, stack.names)
    volumes.remove_leftovers()
    found = stack.services()
    _make(folder)
    services = Services(stack.client)
    running = [service for service in found if services.is_running(service)]
    for service in found:
        if service not in running:
            report.say(f"  {service.name} does not run, and is left so")
    stopped: list[DataService] = []
    archives: list[Archive] = []
    try:
        for service in running:
            with report.step(f"{service.name}: stopped"):
                stopped.append(service)
                services.stop(service, cleanly=True)
        for service in found:
            for volume in service.volumes:
                with (
                    report.step(f"{service.name}: {volume.name} archived") as step,
                    closing(volumes.read(service, volume)) as chunks,
                ):
                    archives.append(_archive(service, volume, step.count(chunks), folder))
            services.check_still(service)
            if service in stopped:
                services.start(service)
                stopped.remove(service)
        result = Manifest(
            project=stack.names.project,
            stack=stack.names.stack,
            system=stack.names.system,
            created=datetime.now(UTC).replace(microsecond=0),
            archives=tuple(archives),
        )
        manifest.write(result, folder)
    except BaseException as error:
        with undisturbed():
            report.say("  the backup is broken off; starting the services again")
            state = _set_right(services, volumes, stopped, running, folder, found)
        raise ended(error, state) from error
    with report.step("all services healthy"):
        _wait(services, running, folder)
    return result


def _make(folder: Path) -> None:
    try:
        # What is in it is secret: the data, and the hashes of passwords.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            return
        problem, remedy = "is not empty", "name a new folder: a backup never replaces another"
    except OSError as error:
        problem = f"cannot be made or read: {error.strerror}"
        remedy = "name a folder that can be written"
    raise InvalidStackError([Problem(str(folder), problem, remedy)])


def _archive(
    service: DataService, volume: DataVolume, chunks: Iterable[bytes], folder: Path
) -> Archive:
    name = manifest.archive_name(service.name, volume.name)
    partial = folder / f"{name}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        hashing = _Hashing(file)
        with gzip.GzipFile("", "wb", COMPRESSION_LEVEL, hashing, mtime=0) as compressed:
            found = content.read(_copied(chunks, compressed))
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / name)
    return Archive(
        service=service.name,
        volume=volume.name,
        engine=service.engine,
        image=service.image,
        user=service.user,
        file=name,
        bytes=hashing.size_bytes,
        sha256=hashing.digest.hexdigest(),
        content=found,
    )


def _copied(chunks: Iterable[bytes], to: gzip.GzipFile) -> Iterator[bytes]:
    for chunk in chunks:
        to.write(chunk)
        yield chunk


class _Hashing:
    """A file that is hashed as it is written."""

    def __init__(self, file: BufferedWriter) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, piece: bytes) -> int:
        self.digest.update(piece)
        self.size_bytes += len(piece)
        return self._file.write(piece)

    def flush(self) -> None:
        self._file.flush()


def _set_right(
    services: Services,
    volumes: Volumes,
    stopped: Sequence[DataService],
    running: Sequence[DataService],
    folder: Path,
    found: Sequence[DataService],
) -> str:
    """Starts what was stopped and removes what was written; says what came of it."""
    names = [
        manifest.archive_name(one.name, volume.name) for one in found for volume in one.volumes
    ]
    for name in [*names, manifest.FILE_NAME]:
        (folder / name).unlink(missing_ok=True)
        (folder / f"{name}.partial").unlink(missing_ok=True)
    starts = [partial(services.start, service) for service in stopped]
    failures = attempt(
        [*starts, volumes.remove_leftovers, partial(services.wait, running)],
    )
    if failures:
        return (
            f"there is no backup, and not all services run again: {failures}\n"
            "    `pulumi up` starts them"
        )
    return "there is no backup; all services run again"


def _wait(services: Services, running: Sequence[DataService], folder: Path) -> None:
    try:
        services.wait(running)
    except BaseException as error:
        state = f"the backup in {folder} is whole, but not all services were seen healthy again"
        raise ended(error, state) from error
