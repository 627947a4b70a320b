"""A new major version of a datastore's engine, on Docker: `strata upgrade`.

The commands are a script in the container of the datastore (`components/engines/postgres_upgrade.sh`).
"""

from dataclasses import dataclass
from typing import ClassVar

from strata import console
from strata.components.engines.postgres import UPGRADE_FILE
from strata.errors import InvalidStackError, Problem
from strata.ops.guard import failed, undisturbed
from strata.ops.running_stack import RunningStack
from strata.ops.service_script import ServiceScript
from strata.ops.services import Services


@dataclass(frozen=True)
class Upgrade(ServiceScript):
    """That of one service."""

    FILE: ClassVar[str] = UPGRADE_FILE

    def prepare(self) -> str:
        """Ends the sessions of the application, which can't log in again, and writes a dump.

        Raises `OpsError` if it fails or is interrupted. The application can log in again then.
        """
        name = self.service.name
        try:
            with console.step(f"Writing a dump of {name}, without its clients"):
                return self._run("prepare")
        except KeyboardInterrupt as error:
            with undisturbed():
                self._run("cancel")
            raise failed(error, f"the clients of {name} can log in again") from error

    def cancel(self) -> None:
        """Undoes `prepare` or `revert`, before the next version has started."""
        with console.step(f"Opening {self.service.name} to its clients"):
            self._run("cancel")

    def revert(self) -> str:
        """Has the next start of the earlier version use its data again."""
        return self._run("revert")

    def confirm(self) -> None:
        """Deletes the data of the other version."""
        with console.step(f"Deleting the data of {self.service.name} before the upgrade"):
            self._run("confirm")


def of_service(stack: RunningStack, name: str) -> Upgrade:
    """Raises `InvalidStackError` unless the service runs and has such upgrades."""
    services = {service.name: service for service in stack.services()}
    service = services.get(name)
    if service is None:
        fix = f"use one of: --service {', '.join(services)}"
        raise InvalidStackError([Problem(f"service {name}", "isn't a datastore of the stack", fix)])
    if not Services(stack.client).is_running(service):
        raise InvalidStackError([Problem(f"service {name}", "isn't running", "pulumi up")])
    upgrade = Upgrade(stack, service)
    if upgrade._status("test", "-e", UPGRADE_FILE)[0] != 0:
        fix = "see docs/components/datastore.md for the upgrades of each engine"
        problem = Problem(f"service {name}", "needs no preparation for another version", fix)
        raise InvalidStackError([problem])
    return upgrade
