"""The commands of a script in the container of a datastore, on Docker. The script is the same on every
platform."""

from dataclasses import dataclass
from typing import ClassVar

from strata.errors import OpsError
from strata.ops.running_stack import DataService, RunningStack


@dataclass(frozen=True)
class ServiceScript:
    """The script of one service. `FILE` is its path in the container."""

    FILE: ClassVar[str]

    stack: RunningStack
    service: DataService

    def _run(self, *arguments: str) -> str:
        """What a command of the script prints. Raises `OpsError` with that if it fails."""
        status, output = self._status("bash", self.FILE, *arguments)
        if status != 0:
            raise OpsError(f"{self.service.name}: {output or f'status {status}'}")
        return output

    def _status(self, *command: str) -> tuple[int, str]:
        """The status of a command in the container, and what it prints."""
        (container,) = self.service.containers
        run = self.stack.client.containers.get(container).exec_run(list(command))
        return run.exit_code, run.output.decode(errors="replace").strip()
