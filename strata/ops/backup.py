"""Writes the volumes of a stack to a folder.

All services with data are stopped before the first volume is read, so that the backup is of one
moment: a message between two of them is in at least one. Each service starts again as soon as its
own volumes are read.
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

from strata import console
from strata.errors import InvalidStackError, Problem
from strata.ops import content, manifest
from strata.ops.encryption import BackupKey
from strata.ops.guard import attempt, failed, undisturbed
from strata.ops.manifest import Archive, Manifest
from strata.ops.records import record_backup
from strata.ops.running_stack import DataService, DataVolume, RunningStack
from strata.ops.services import Services
from strata.ops.volumes import Volumes

# The services are down while their volumes are read, and gzip takes most of that time.
COMPRESSION_LEVEL = 1


def backup(stack: RunningStack, folder: Path, key: BackupKey) -> Manifest:
    """Writes a backup to `folder`, which is created, or is empty. The archives are encrypted for `key`.

    Raises `InvalidStackError` before anything changes, and `OpsError` after. In both cases the
    services that ran are started again, and `folder` holds no backup: `manifest.json` comes last.
    """
    volumes = Volumes(stack.client, stack.names)
    volumes.remove_leftovers()
    with_data = stack.services()
    for service_name, names in stack.in_memory().items():
        console.info(f"{service_name}: not backed up, because it is in memory: {', '.join(names)}")
    _create(folder)
    services = Services(stack.client)
    running = [service for service in with_data if services.is_running(service)]
    for service in with_data:
        if service not in running:
            console.info(f"{service.name} is not running and stays stopped")
    stopped: list[DataService] = []
    archives: list[Archive] = []
    try:
        for service in running:
            with console.step(f"Stopping {service.name}"):
                stopped.append(service)
                services.stop(service, cleanly=True)
        for service in with_data:
            for volume in service.volumes:
                with (
                    console.step(f"Archiving {volume.docker_name}") as step,
                    closing(volumes.read(service, volume)) as chunks,
                ):
                    counted = step.count(chunks)
                    archives.append(_archive(service, volume, counted, folder, key))
            services.check_still(service)
            if service in stopped:
                services.start(service)
                stopped.remove(service)
        result = Manifest(
            project=stack.names.project,
            stack=stack.names.stack,
            system=stack.names.system,
            created=datetime.now(UTC).replace(microsecond=0),
            recipient=key.public,
            archives=tuple(archives),
        )
        manifest.write(result, folder)
    except BaseException as error:
        with undisturbed():
            console.info("The backup failed; starting the services again")
            state = _roll_back(services, volumes, stopped, running, folder, with_data)
        raise failed(error, *state) from error
    record_backup(stack, volumes, result)
    try:
        with console.step("Waiting until all services are healthy"):
            services.wait(running)
    except BaseException as error:
        done = f"the backup in {folder} is complete, but not all services are healthy again"
        raise failed(error, done, "start them: `pulumi up`") from error
    return result


def _create(folder: Path) -> None:
    try:
        # The archives are encrypted; sizes and names are nobody's business either.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            return
        message, fix = "is not empty", "choose a new folder: a backup never replaces another"
    except OSError as error:
        message = f"can't be created or read: {error.strerror}"
        fix = "choose a folder that you can write to"
    raise InvalidStackError([Problem(str(folder), message, fix)])


def _archive(
    service: DataService,
    volume: DataVolume,
    chunks: Iterable[bytes],
    folder: Path,
    key: BackupKey,
) -> Archive:
    name = manifest.archive_name(service.name, volume.name)
    partial = folder / f"{name}.partial"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        hashing = _Hashing(file)
        with (
            key.encrypting(hashing) as plain,
            gzip.GzipFile("", "wb", COMPRESSION_LEVEL, plain, mtime=0) as compressed,
        ):
            digest = content.read(_copied(chunks, compressed))
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
        content=digest,
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


def _roll_back(
    services: Services,
    volumes: Volumes,
    stopped: Sequence[DataService],
    running: Sequence[DataService],
    folder: Path,
    with_data: Sequence[DataService],
) -> tuple[str, str]:
    """Starts the stopped services and removes the files; returns the state and the fix."""
    names = [
        manifest.archive_name(service.name, volume.name)
        for service in with_data
        for volume in service.volumes
    ]
    for name in [*names, manifest.FILE_NAME]:
        (folder / name).unlink(missing_ok=True)
        (folder / f"{name}.partial").unlink(missing_ok=True)
    starts = [partial(services.start, service) for service in stopped]
    failures = attempt([*starts, volumes.remove_leftovers, partial(services.wait, running)])
    if failures:
        return (
            f"there is no backup, and not all services run again: {failures}",
            "start them: `pulumi up`",
        )
    return "there is no backup; all services run again", ""
