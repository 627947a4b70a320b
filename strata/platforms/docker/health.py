"""Waits until a container is healthy, which is when those that link to it may start.

Docker asks a container's health check only every so often; waiting for that would add the interval
to each tier of a stack. So the check itself is run in the container, at once and then with growing
pauses, until it succeeds. Pulumi's provider could wait too, but it looks once a second, and it
forgets a container that was not healthy in time, which then is in the way of the next update.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pulumi

from strata.model import Probe
from strata.platforms.docker.engine_client import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    EngineClient,
    NotReadyError,
)

RESTARTS_MAXIMUM = 5
"""What a service links to is healthy before it starts, so one that ended this often will go on so."""
CHECKS_AT_ONCE = 4
"""Each check starts a workload in a container: more at once than a small host has cores only
delay what they ask about."""


class HealthWaiter:
    """The gate that a client waits at for its servers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._engine = EngineClient(client)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def wait(self, container: str, name: str, probe: Probe, test: Sequence[str]) -> None:
        """Returns when the container is healthy.

        `test` is the command of its health check. A stopped container is started. Raises
        `NotReadyError` where it is gone, ends again and again, or is not healthy within
        `probe.ready_within_seconds`.
        """
        deadline = time.monotonic() + probe.ready_within_seconds
        pause = FIRST_PAUSE_SECONDS
        started = False
        last = "it was not asked"
        first_restarts: int | None = None
        while True:
            inspected = await self._engine.inspect(container, name)
            state = inspected["State"]
            restarts: int = inspected["RestartCount"]
            first_restarts = restarts if first_restarts is None else first_restarts
            if (state.get("Health") or {}).get("Status") == "healthy":
                return
            if state["Running"] and not state.get("Restarting"):
                last = await self._check(container, test)
                if last == "":
                    return
            elif state["Status"] in ("exited", "created"):
                if started:  # Docker will not start it again.
                    why = f"ended with status {state['ExitCode']}"
                    raise NotReadyError(await self._report(container, name, why, last))
                # Stopped by hand, or a restart policy that gave up: an update sets it right.
                pulumi.log.info(f"starting {name}, which was {state['Status']}")
                await self._engine.start(container, name)
                started = True
                first_restarts = None  # Docker counts from 0 again.
                continue
            if restarts - first_restarts >= RESTARTS_MAXIMUM:
                why = f"ended {restarts} times, the last time with status {state['ExitCode']}"
                raise NotReadyError(await self._report(container, name, why, last))
            if time.monotonic() > deadline:
                why = f"was not healthy within {probe.ready_within_seconds} s"
                raise NotReadyError(await self._report(container, name, why, last))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)

    async def _check(self, container: str, test: Sequence[str]) -> str:
        """Runs the health check; an empty string says that it succeeded, else what it printed."""
        from docker.errors import APIError

        async with self._checks:
            try:
                return str(await self._engine.call(self._exec, container, test))
            except APIError as error:  # It stopped in between.
                return str(error.explanation or error)

    def _exec(self, container: str, test: Sequence[str]) -> str:
        api = self._client.api
        run = api.exec_create(container, list(test))["Id"]
        output = api.exec_start(run).decode(errors="replace").strip()
        status = api.exec_inspect(run)["ExitCode"]
        return "" if status == 0 else output or f"status {status}"

    async def _report(self, container: str, name: str, why: str, last: str) -> str:
        return (
            f"{name} {why}\n"
            f"    its health check last said: {last}\n"
            f"    the end of its log:\n{await self._engine.end_of_log(container)}\n"
            f"    see `docker logs {name}`; `pulumi up` again carries on from here"
        )
