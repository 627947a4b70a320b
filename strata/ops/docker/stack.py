"""The day-to-day commands on a Docker engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from strata.ops.docker.containers import Containers
from strata.ops.docker.logs import DockerLogs
from strata.ops.docker.restart import restart
from strata.ops.docker.shell import command_line
from strata.ops.docker.status import status
from strata.ops.docker.top import Meter
from strata.ops.logs import Selection
from strata.ops.project import expected_replicas
from strata.ops.status import Status
from strata.ops.top import Usage


@dataclass(frozen=True)
class DockerStack:
    """A `DeployedStack`."""

    own: Containers

    def status(self) -> Status:
        return status(self.own, self._expected)

    def logs(self, selection: Selection) -> DockerLogs:
        return DockerLogs(own=self.own, selection=selection)

    def usages(self, services: Sequence[str]) -> Iterator[list[Usage]]:
        return Meter(self.own, services).frames()

    def check_services(self, services: Sequence[str]) -> None:
        self.own.of(services)

    def restart(self, services: Sequence[str]) -> int:
        return restart(self.own, services)

    def command_line(self, name: str, command: Sequence[str], *, terminal: bool) -> list[str]:
        return command_line(self.own, name, command, terminal=terminal)

    @cached_property
    def _expected(self) -> dict[str, int]:
        # Asks Pulumi, which takes a second: once for all frames of `--watch`.
        return expected_replicas(self.own.stack)
