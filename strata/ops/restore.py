"""Restores a backup into the volumes of a stack: into all of them, or into none.

Each archive is unpacked beside the content of its volume and compared with the backup. Only when
every volume has its copy are they exchanged. The old content is kept until the services are healthy
with the new.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from strata import console
from strata.console import Step
from strata.errors import InvalidStackError, OpsError, Problem, raise_problems, reason
from strata.ops import content, manifest, scripts
from strata.ops.content import CHUNK_BYTES
from strata.ops.encryption import BackupKey
from strata.ops.guard import attempt, failed, undisturbed
from strata.ops.manifest import Archive, Manifest
from strata.ops.records import record_restore
from strata.ops.running_stack import DataService, DataVolume, RunningStack
from strata.ops.services import Services
from strata.ops.volumes import Volumes


@dataclass(frozen=True, kw_only=True)
class Target:
    """An archive, and the volume that it is restored into."""

    archive: Archive
    service: DataService
    volume: DataVolume


def restore(stack: RunningStack, folder: Path, key: BackupKey) -> Manifest:
    """Restores the backup in `folder`, which was encrypted for `key`.

    Raises `InvalidStackError` before anything changes, and `OpsError` after. Everything is then as
    before, unless the rollback failed too; the error says which.
    """
    volumes = Volumes(stack.client, stack.names)
    volumes.remove_leftovers()
    backed_up = manifest.read(folder)
    with_data = stack.services()
    check_key(folder, backed_up, key)
    targets = match(backed_up, with_data)
    check_archives(folder, targets)
    if backed_up.stack != stack.names.stack:
        console.info(f"note: the backup is of stack {backed_up.stack}")
    for line in differences(targets, with_data):
        console.info(f"note: {line}")
    services = Services(stack.client)
    concerned = [
        service for service in with_data if any(target.service == service for target in targets)
    ]
    # An undo is safe for these only: the others may hold parts of an older restore.
    prepared: list[Target] = []
    try:
        for service in concerned:
            with console.step(f"Stopping {service.name}"):
                services.stop(service, cleanly=False)
        for target in targets:
            volumes.run(target.service, target.volume, scripts.PREPARE)
            prepared.append(target)
            _stage(volumes, target, folder, key)
        for target in targets:
            volumes.run(target.service, target.volume, scripts.EXCHANGE)
        for service in concerned:
            services.start(service)
        with console.step("Waiting until all services are healthy with the restored data"):
            services.wait(concerned)
    except BaseException as error:
        with undisturbed():
            console.info("The restore failed; rolling back")
            state = _roll_back(services, volumes, concerned, prepared)
        raise failed(error, *state) from error
    with undisturbed():
        _commit(volumes, targets)
    record_restore(stack, volumes, backed_up)
    return backed_up


def check_key(folder: Path, backed_up: Manifest, key: BackupKey) -> None:
    """Raises `InvalidStackError` if the backup was encrypted for another key."""
    if backed_up.recipient != key.public:
        fix = "run `strata backup-key` where the seed of the backup is, and name its output with --key"
        message = "was encrypted with another seed"
        raise InvalidStackError([Problem(str(folder), message, fix)])


def match(backed_up: Manifest, with_data: Sequence[DataService]) -> tuple[Target, ...]:
    """The volume of each archive. Raises `InvalidStackError` if an archive fits none."""
    problems: list[Problem] = []
    targets: list[Target] = []
    known = {
        (service.name, volume.name): (service, volume)
        for service in with_data
        for volume in service.volumes
    }
    for archive in backed_up.archives:
        service, volume = known.get((archive.service, archive.volume), (None, None))
        if service is None or volume is None:
            message = f"the stack has no such service with a volume {archive.volume}"
            fix = (
                "run `pulumi up` first, with the system and profiles of the backup"
                f" ({backed_up.system})"
            )
        elif service.engine != archive.engine:
            message = f"the backup is of {archive.engine}, the stack runs {service.engine}"
            fix = "restore it into a stack of the same engine"
        elif service.user != archive.user:
            message = f"ran as user {archive.user} when it was backed up, and now as {service.user}"
            fix = "run the service as that user"
        else:
            targets.append(Target(archive=archive, service=service, volume=volume))
            continue
        problems.append(Problem(f"service {archive.service}", message, fix))
    raise_problems(problems)
    return tuple(targets)


def differences(targets: Sequence[Target], with_data: Sequence[DataService]) -> Iterator[str]:
    """What differs from the backup without preventing the restore."""
    for target in targets:
        if target.archive.image != target.service.image:
            yield (
                f"{target.service.name} was backed up from image {target.archive.image} and now"
                f" runs {target.service.image}"
            )
    restored = {target.volume for target in targets}
    for service in with_data:
        for volume in service.volumes:
            if volume not in restored:
                yield f"{volume.docker_name} is not in the backup and stays as it is"


def check_archives(folder: Path, targets: Sequence[Target]) -> None:
    """Raises `InvalidStackError` unless every archive is, byte for byte, as it was written."""
    problems: list[Problem] = []
    total_bytes = sum(target.archive.bytes for target in targets)
    with console.step("Checking the archives", total_bytes) as step:
        for target in targets:
            path = folder / target.archive.file
            problem = _problem(path, target.archive, step)
            if problem:
                problems.append(Problem(str(path), problem, "use another copy of the backup"))
    raise_problems(problems)


def _problem(path: Path, archive: Archive, step: Step) -> str | None:
    """What is wrong with the file of an archive."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes != archive.bytes:
            return f"has {size_bytes} bytes, not the {archive.bytes} of the manifest"
        digest = hashlib.sha256()
        for chunk in step.count(_chunks(path)):
            digest.update(chunk)
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if digest.hexdigest() != archive.sha256:
        return "was changed: its SHA-256 is not that of the manifest"
    return None


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _stage(volumes: Volumes, target: Target, folder: Path, key: BackupKey) -> None:
    service, volume, archive = target.service, target.volume, target.archive
    with (
        console.step(f"Unpacking {volume.docker_name}", archive.bytes) as step,
        closing(key.decrypted(folder / archive.file)) as chunks,
    ):
        volumes.stage(service, volume, step.count(chunks))
    with (
        console.step(f"Comparing {volume.docker_name}") as step,
        closing(volumes.read_staged(service, volume)) as chunks,
    ):
        staged = content.read(step.count(chunks))
    if staged != archive.content:
        raise OpsError(
            f"the content unpacked into {volume.docker_name} is not what was backed up:"
            f" {staged.entries} entries of {staged.bytes} bytes with digest {staged.sha256}, not"
            f" {archive.content.entries} of {archive.content.bytes} with {archive.content.sha256}"
        )


def _roll_back(
    services: Services,
    volumes: Volumes,
    concerned: Sequence[DataService],
    prepared: Sequence[Target],
) -> tuple[str, str]:
    """Undoes the restore; returns the state and the fix."""
    try:
        for service in concerned:
            services.stop(service, cleanly=False)
        volumes.remove_leftovers()
        for target in prepared:
            volumes.run(target.service, target.volume, scripts.UNDO)
    except Exception as error:
        names = ", ".join(target.volume.docker_name for target in prepared)
        return (
            f"not all volumes could be rolled back: {reason(error)}\n"
            f"    their services are stopped; no data is lost (volumes {names})",
            "run the restore again: it completes the rollback first",
        )
    starts = [partial(services.start, service) for service in concerned]
    failures = attempt([*starts, partial(services.wait, concerned)])
    if failures:
        return (
            f"every volume is as it was before, but not all services run again: {failures}",
            "start them: `pulumi up`",
        )
    return "nothing was restored: every volume is as it was before, and the services run again", ""


def _commit(volumes: Volumes, targets: Sequence[Target]) -> None:
    for target in targets:
        try:
            volumes.run(target.service, target.volume, scripts.COMMIT)
        except Exception as error:
            raise OpsError(
                "everything is restored and healthy, but the replaced content could not be removed"
                f" from {target.volume.docker_name}: {reason(error)}",
                "no action is needed: the next backup skips it, the next restore removes it",
            ) from error
