"""Brings a backup back into the volumes of a stack: into all of them, or into none.

What is restored is unpacked beside the content of each volume and compared with what was backed
up. Only when every volume has its copy are they exchanged, and what was replaced is kept until the
services are healthy with the new.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from strata.model import Problem, raise_problems
from strata.ops import content, manifest
from strata.ops.content import CHUNK_BYTES
from strata.ops.errors import OpsError, attempt, ended, reason
from strata.ops.guard import undisturbed
from strata.ops.manifest import Archive, Manifest
from strata.ops.report import Report, Step
from strata.ops.services import Services
from strata.ops.stack import DataService, DataVolume, Stack
from strata.ops.volumes import Volumes


@dataclass(frozen=True, kw_only=True)
class Target:
    """An archive, and where it goes."""

    archive: Archive
    service: DataService
    volume: DataVolume


def restore(stack: Stack, folder: Path, report: Report) -> Manifest:
    """Restores the backup in `folder`.

    Raises `InvalidStackError` before anything changes, and `OpsError` after, which says what state
    things are in: as before, unless even the way back failed.
    """
    volumes = Volumes(stack.client, stack.names)
    volumes.remove_leftovers()
    backed_up = manifest.read(folder)
    found = stack.services()
    targets = match(backed_up, found)
    check_archives(folder, targets, report)
    if backed_up.stack != stack.names.stack:
        report.say(f"  note: the backup is of stack {backed_up.stack}")
    for line in differences(targets, found):
        report.say(f"  note: {line}")
    services = Services(stack.client)
    concerned = [one for one in found if any(target.service == one for target in targets)]
    # Only of these is it sure that undoing leads to what was there before this restore.
    prepared: list[Target] = []
    try:
        for service in concerned:
            with report.step(f"{service.name}: stopped"):
                services.stop(service, cleanly=False)
        for target in targets:
            volumes.prepare(target.service, target.volume)
            prepared.append(target)
            _stage(volumes, target, folder, report)
        for target in targets:
            volumes.exchange(target.service, target.volume)
        for service in concerned:
            services.start(service)
        with report.step("all services healthy with the restored data"):
            services.wait(concerned)
    except BaseException as error:
        with undisturbed():
            report.say("  the restore is broken off; putting everything back as it was")
            state = _put_back(services, volumes, concerned, prepared)
        raise ended(error, state) from error
    with undisturbed():
        _commit(volumes, targets)
    return backed_up


def match(backed_up: Manifest, found: Sequence[DataService]) -> tuple[Target, ...]:
    """Where each archive goes. Raises `InvalidStackError` for those that go nowhere."""
    problems: list[Problem] = []
    targets: list[Target] = []
    services = {one.name: one for one in found}
    for archive in backed_up.archives:
        where = f"service {archive.service}"
        service = services.get(archive.service)
        volume = next(
            (one for one in service.volumes if one.name == archive.volume) if service else iter(()),
            None,
        )
        if service is None or volume is None:
            problems.append(
                Problem(
                    where,
                    f"the stack has no volume {archive.volume} of such a service",
                    "run `pulumi up` first, with the system and profiles that were backed up"
                    f" ({backed_up.system})",
                )
            )
        elif service.engine != archive.engine:
            problems.append(
                Problem(
                    where,
                    f"the backup is of {archive.engine}, the stack runs {service.engine}",
                    "restore it into a stack of the same engine",
                )
            )
        elif service.user != archive.user:
            problems.append(
                Problem(
                    where,
                    f"ran as user {archive.user} when it was backed up, and now as {service.user}",
                    "run the service as that user",
                )
            )
        else:
            targets.append(Target(archive=archive, service=service, volume=volume))
    raise_problems(problems)
    return tuple(targets)


def differences(targets: Sequence[Target], found: Sequence[DataService]) -> Iterator[str]:
    """What a person should know, though it does not stand in the way."""
    for target in targets:
        if target.archive.image != target.service.image:
            yield (
                f"{target.service.name} was backed up from image {target.archive.image} and now"
                f" runs {target.service.image}"
            )
    restored = {target.volume for target in targets}
    for service in found:
        for volume in service.volumes:
            if volume not in restored:
                yield f"{volume.docker_name} is not in the backup and stays as it is"


def check_archives(folder: Path, targets: Sequence[Target], report: Report) -> None:
    """Raises `InvalidStackError` unless every archive is, byte for byte, what was written."""
    problems: list[Problem] = []
    with report.step("archives checked", sum(target.archive.bytes for target in targets)) as step:
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
        return f"cannot be read: {error.strerror}"
    if digest.hexdigest() != archive.sha256:
        return "is not what was written: its SHA-256 is not that of the manifest"
    return None


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _stage(volumes: Volumes, target: Target, folder: Path, report: Report) -> None:
    service, volume, archive = target.service, target.volume, target.archive
    with report.step(f"{service.name}: {volume.name} unpacked", archive.bytes) as step:
        volumes.stage(service, volume, step.count(_chunks(folder / archive.file)))
    with (
        report.step(f"{service.name}: {volume.name} compared") as step,
        closing(volumes.read_staged(service, volume)) as chunks,
    ):
        found = content.read(step.count(chunks))
    if found != archive.content:
        raise OpsError(
            f"what was unpacked into {volume.docker_name} is not what was backed up:"
            f" {found.entries} entries of {found.bytes} bytes with digest {found.sha256}, not"
            f" {archive.content.entries} of {archive.content.bytes} with {archive.content.sha256}"
        )


def _put_back(
    services: Services,
    volumes: Volumes,
    concerned: Sequence[DataService],
    prepared: Sequence[Target],
) -> str:
    """Undoes what was done; says what came of it."""
    try:
        for service in concerned:
            services.stop(service, cleanly=False)
        volumes.remove_leftovers()
        for target in prepared:
            volumes.undo(target.service, target.volume)
    except Exception as error:
        names = ", ".join(target.volume.docker_name for target in prepared)
        return (
            f"the volumes could not all be put back: {reason(error)}\n"
            "    their services are stopped; nothing of either is lost: run the restore again,"
            f" which begins with putting back (volumes {names})"
        )
    starts = [partial(services.start, service) for service in concerned]
    failures = attempt([*starts, partial(services.wait, concerned)])
    if failures:
        return (
            f"every volume is as it was before, but not all services run again: {failures}\n"
            "    `pulumi up` starts them"
        )
    return "nothing was restored: every volume is as it was before, and the services run again"


def _commit(volumes: Volumes, targets: Sequence[Target]) -> None:
    for target in targets:
        try:
            volumes.commit(target.service, target.volume)
        except Exception as error:
            raise OpsError(
                "everything is restored and healthy, but what was replaced could not be removed"
                f" from {target.volume.docker_name}: {reason(error)}\n"
                "    the next backup leaves it out, the next restore removes it"
            ) from error
