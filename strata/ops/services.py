"""Stops services, so that their data does not change, and starts them again."""

import asyncio
from collections.abc import Sequence
from typing import Any

from strata.errors import OpsError
from strata.model import ExecProbe, Probe
from strata.ops.running_stack import DataService
from strata.platforms.docker.health import unsupervised
from strata.platforms.docker.waiters import HealthWaiter

READY_WITHIN_SECONDS = 300
KILLED = 137
"""The exit status after SIGKILL: the process did not stop within its grace period."""


class Services:
    """Stops and starts services on one Docker engine."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._api = client.api

    def is_running(self, service: DataService) -> bool:
        return any(self._state(each)["Running"] for each in service.containers)

    def stop(self, service: DataService, *, cleanly: bool) -> None:
        """Stops every container of the service with its own signal and grace period.

        Raises `OpsError` if `cleanly` is set and a container had to be killed.
        """
        for container in service.containers:
            if not self._state(container)["Running"]:
                continue
            self._api.stop(container)
            if self._state(container)["ExitCode"] == KILLED and cleanly:
                raise OpsError(
                    f"{service.name} did not stop within its grace period and was killed: the data"
                    " in its volume may be incomplete"
                )

    def start(self, service: DataService) -> None:
        for container in service.containers:
            # Docker continues an interrupted stop. Without this wait the container would still be
            # running, and the start would do nothing.
            self._api.stop(container)
            self._api.start(container)

    def check_still(self, service: DataService) -> None:
        """Raises `OpsError` if a container of the service was started by something else."""
        for container in service.containers:
            if self._state(container)["Running"]:
                raise OpsError(
                    f"{service.name} was started while its volume was read",
                    "run this again when nothing else (such as `pulumi up`) works on the stack",
                )

    def wait(self, services: Sequence[DataService]) -> None:
        """Returns when every container is healthy. Raises `NotReadyError`."""
        self.wait_for([each for service in services for each in service.containers])

    def wait_for(self, containers: Sequence[str]) -> None:
        """Returns when each of these containers of services is healthy. Raises `NotReadyError`."""
        asyncio.run(self._wait(containers))

    async def _wait(self, containers: Sequence[str]) -> None:
        health = HealthWaiter(self._client)
        waits = []
        for container in containers:
            inspected = self._api.inspect_container(container)
            test = unsupervised(inspected["Config"]["Healthcheck"]["Test"][1:])
            probe = Probe(check=ExecProbe(command=test), ready_within_seconds=READY_WITHIN_SECONDS)
            waits.append(health.wait(container, inspected["Name"].removeprefix("/"), probe, test))
        await asyncio.gather(*waits)

    def _state(self, container: str) -> dict[str, Any]:
        state: dict[str, Any] = self._api.inspect_container(container)["State"]
        return state
