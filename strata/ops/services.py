"""Stopping services, so that their data holds still, and starting them again."""

import asyncio
from collections.abc import Sequence
from typing import Any

from strata.model import ExecProbe, Probe
from strata.ops.errors import OpsError
from strata.ops.stack import DataService
from strata.platforms.docker.health import HealthWaiter

READY_WITHIN_SECONDS = 300
KILLED = 137
"""The exit status of a process that got SIGKILL: it did not stop by itself within its grace."""


class Services:
    """Stops and starts services on one Docker engine."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._api = client.api

    def is_running(self, service: DataService) -> bool:
        return any(self._state(one)["Running"] for one in service.containers)

    def stop(self, service: DataService, *, cleanly: bool) -> None:
        """Stops every container of the service, in the way and within the time that are its own.

        Where it must stop `cleanly`, raises `OpsError` if it had to be killed.
        """
        for container in service.containers:
            if not self._state(container)["Running"]:
                continue
            self._api.stop(container)
            if self._state(container)["ExitCode"] == KILLED and cleanly:
                raise OpsError(
                    f"{service.name} was killed, since it did not stop within its time: what is in"
                    " its volume may be half written"
                )

    def start(self, service: DataService) -> None:
        for container in service.containers:
            # Where a stop was interrupted, Docker goes on with it: this waits for its end, or the
            # start would find the container still running, and do nothing.
            self._api.stop(container)
            self._api.start(container)

    def check_still(self, service: DataService) -> None:
        """Raises `OpsError` where somebody started a container of the service again."""
        for container in service.containers:
            if self._state(container)["Running"]:
                raise OpsError(
                    f"{service.name} was started while its volume was read: run this again when"
                    " nothing else (a `pulumi up`) works on the stack"
                )

    def wait(self, services: Sequence[DataService]) -> None:
        """Returns when every container is healthy. Raises `NotReadyError`."""
        asyncio.run(self._wait([one for service in services for one in service.containers]))

    async def _wait(self, containers: Sequence[str]) -> None:
        health = HealthWaiter(self._client)
        waits = []
        for container in containers:
            inspected = self._api.inspect_container(container)
            test = inspected["Config"]["Healthcheck"]["Test"][1:]
            probe = Probe(
                check=ExecProbe(command=tuple(test)), ready_within_seconds=READY_WITHIN_SECONDS
            )
            waits.append(health.wait(container, inspected["Name"].removeprefix("/"), probe, test))
        await asyncio.gather(*waits)

    def _state(self, container: str) -> dict[str, Any]:
        state: dict[str, Any] = self._api.inspect_container(container)["State"]
        return state
