"""The continuous backups of a datastore on Docker: `strata backups`, and `strata restore --to`.

The commands are a script in the container of the datastore (`components/engines/postgres_backup.sh`
and `restic_backup.sh`), the same on every platform.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from strata import console
from strata.components.engines.backups import SCRIPT_FILE
from strata.errors import InvalidStackError, OpsError, Problem
from strata.model import BACKUP_SUFFIX, BACKUPS
from strata.ops.guard import failed, undisturbed
from strata.ops.logs import since
from strata.ops.running_stack import RunningStack
from strata.ops.service_script import ServiceScript
from strata.ops.services import Services

# What begins with a digit is a time.
POINT = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True)
class ContinuousBackups(ServiceScript):
    """Those of one service. Raises `InvalidStackError` if it has none."""

    FILE: ClassVar[str] = SCRIPT_FILE

    def list(self) -> str:
        """The backups, with their times, and the named restore points."""
        return self._run("list")

    def create(self, *, full: bool) -> None:
        """Creates a backup: of everything, or of what changed since the one before."""
        with console.step(f"Backing up {self.service.name}"):
            self._run("create", "full" if full else "incr")

    def mark(self, name: str) -> None:
        """Names the present state, for `restore`."""
        if POINT.fullmatch(name) is None:
            fix = "use at most 63 of A-Z, a-z, 0-9, '.', '_' and '-', starting with a letter"
            raise InvalidStackError([Problem("NAME", f"{name!r} is not a valid name", fix)])
        with console.step(f"Naming the state of {self.service.name}"):
            self._run("mark", name)

    def verify(self) -> str:
        """Restores the newest backup and all changes since, and checks every page of it. The datastore
        serves meanwhile."""
        with console.step(f"Restoring {self.service.name} for a check"):
            return self._run("verify")

    def restore(self, to: str) -> None:
        """Restores the state at a time (see `logs.since`), or one that `mark` named.

        The service serves until the restored copy is complete and has reached its target. Raises
        `OpsError` if it doesn't, or doesn't become healthy with it.
        """
        name = self.service.name
        target = ("name", to) if POINT.fullmatch(to) else ("time", _time(to))
        with console.step(f"Restoring {name} beside its data ({' '.join(target)})"):
            restored = self._run("restore", *target)
        if restored:
            console.info(restored)
        services = Services(self.stack.client)
        with undisturbed(), console.step(f"Restarting {name} with the restored data"):
            self._run("accept")
            services.stop(self.service, cleanly=False)
            services.start(self.service)
        try:
            with console.step(f"Waiting until {name} is healthy"):
                services.wait([self.service])
        except BaseException as error:
            state = f"the restored data of {name} is in place, but it isn't healthy yet"
            raise failed(error, state, "read its log; the data before is kept beside it") from error
        if self._status("bash", self.FILE, "reverted")[0] == 0:
            raise OpsError(
                f"{name} couldn't start with the restored data: it runs with the data before",
                f"read its log: strata logs {name}",
            )


def of_service(stack: RunningStack, name: str) -> ContinuousBackups:
    """Raises `InvalidStackError` unless the service has continuous backups and runs."""
    having = {
        service.name: service
        for service in stack.services()
        if any(volume.name == BACKUPS for volume in service.volumes)
    }
    service = having.get(name) or having.get(f"{name}{BACKUP_SUFFIX}")
    if service is None:
        path = f"strata:services.{name}.backup"
        fix = f"enable them: pulumi config set --path '{path}.fullDays' 7, then pulumi up"
        if having:
            fix = f"use one of: --service {', '.join(having)}; or {fix}"
        raise InvalidStackError([Problem(f"service {name}", "has no continuous backups", fix)])
    if not Services(stack.client).is_running(service):
        raise InvalidStackError([Problem(f"service {name}", "isn't running", "pulumi up")])
    return ContinuousBackups(stack, service)


def _time(text: str) -> str:
    """A time as pgBackRest reads it."""
    return since(text, datetime.now(UTC), "--to").astimezone(UTC).isoformat(sep=" ")
