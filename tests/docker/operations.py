"""The commands of `strata` on the stack of a test."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from strata.ops.continuous import ContinuousBackups, of_service
from strata.ops.running_stack import RunningStack
from strata.platforms.docker.names import ResourceNames, owner_of
from tests.project import REPOSITORY, Project, Result


def start(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    """Starts `strata` in the folder of the project."""
    return subprocess.Popen(
        [sys.executable, "-m", "strata", *arguments, "--stack", project.stack],
        cwd=project.folder,
        env={**project.environment, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ops(project: Project, *arguments: str) -> Result:
    process = start(project, *arguments)
    output, _ = process.communicate(timeout=600)
    return Result(process.returncode, output)


def backups_of(engine: Any, project: Project, service: str) -> ContinuousBackups:
    """The continuous backups of a service, as its containers are now."""
    owner = owner_of(project.seed)
    system = project.settings["system"]
    names = ResourceNames(project="strata", stack=project.stack, system=system, owner=owner)
    return of_service(RunningStack(engine, names), service)


@contextmanager
def following(
    project: Project, *arguments: str
) -> "Iterator[tuple[subprocess.Popen[str], list[str]]]":
    """A command that runs until Ctrl-C, and the lines that it has shown so far. It is killed at the end."""
    with subprocess.Popen(
        # The tests may run in the background of a shell, which has them ignore SIGINT.
        ["env", "--default-signal=INT", sys.executable, "-m", "strata", *arguments],
        cwd=project.folder,
        env={**project.environment, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        shown: list[str] = []
        reading = Thread(target=shown.extend, args=(process.stdout,))
        reading.start()
        try:
            yield process, shown
        finally:
            process.kill()
            reading.join()


@contextmanager
def restored(project: Project, folder: Path) -> Iterator[Result]:
    """Backs the stack up to `folder`, which doesn't exist yet, and restores it at the end: what the context
    changes is undone. Yields the result of the backup."""
    backup = ops(project, "backup", str(folder))
    assert backup.status == 0, backup.output
    yield backup
    restore = ops(project, "restore", str(folder))
    assert restore.status == 0, restore.output
