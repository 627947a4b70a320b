"""Waits until a container is healthy, which is when its clients may start.

Docker runs a health check only at intervals; waiting for that would add an interval to each tier of
a stack. So the check's command runs in the container at once, and then with growing pauses, until
it succeeds. Pulumi's Docker provider can wait too, but it polls once a second, and it loses track
of a container that wasn't healthy in time, which then blocks the next update.
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
"""The servers of a container are healthy before it starts, so after this many exits it would only
keep exiting."""
CHECKS_AT_ONCE = 4
"""Each check starts a process in a container: more at once than a small host has cores only slow
down the containers that they check."""


class HealthWaiter:
    """Waits for services."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._engine = EngineClient(client)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def wait(self, container: str, name: str, probe: Probe, test: Sequence[str]) -> None:
        """Returns when the container is healthy. A stopped container is started.

        `test` is the command of its health check. Raises `NotReadyError` if the container is gone,
        exits repeatedly, or isn't healthy within `probe.ready_within_seconds`.
        """
        deadline = time.monotonic() + probe.ready_within_seconds
        pause = FIRST_PAUSE_SECONDS
        started = False
        output = "(it did not run)"
        first_restarts: int | None = None
        while True:
            inspected = await self._engine.inspect(container, name)
            state = inspected["State"]
            restarts: int = inspected["RestartCount"]
            first_restarts = restarts if first_restarts is None else first_restarts
            if (state.get("Health") or {}).get("Status") == "healthy":
                return
            if state["Running"] and not state.get("Restarting"):
                output = await self._check(container, test)
                if output == "":
                    return
            elif state["Status"] in ("exited", "created"):
                if started:  # Docker doesn't restart it again.
                    reason = f"exited with status {state['ExitCode']}"
                    raise NotReadyError(await self._report(container, name, reason, output))
                # Stopped by hand, or its restart policy gave up.
                pulumi.log.info(f"starting {name} (status: {state['Status']})")
                await self._engine.start(container, name)
                started = True
                first_restarts = None  # Docker counts from 0 again.
                continue
            if restarts - first_restarts >= RESTARTS_MAXIMUM:
                reason = f"exited {restarts} times, most recently with status {state['ExitCode']}"
                raise NotReadyError(await self._report(container, name, reason, output))
            if time.monotonic() > deadline:
                reason = f"was not healthy within {probe.ready_within_seconds} s"
                raise NotReadyError(await self._report(container, name, reason, output))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)

    async def _check(self, container: str, test: Sequence[str]) -> str:
        """Runs the health check. Returns its output if it failed, otherwise an empty string."""
        from docker.errors import APIError

        async with self._checks:
            try:
                return str(await self._engine.call(self._exec, container, test))
            except APIError as error:  # The container has exited since it was inspected.
                return str(error.explanation or error)

    def _exec(self, container: str, test: Sequence[str]) -> str:
        api = self._client.api
        identifier = api.exec_create(container, list(test))["Id"]
        output = api.exec_start(identifier).decode(errors="replace").strip()
        status = api.exec_inspect(identifier)["ExitCode"]
        return "" if status == 0 else output or f"status {status}"

    async def _report(self, container: str, name: str, reason: str, output: str) -> str:
        return (
            f"{name}: {reason}\n"
            f"    last output of its health check: {output}\n"
            f"    end of its log:\n{await self._engine.end_of_log(container)}\n"
            f"    see `docker logs {name}`, fix the cause and run `pulumi up` again, which continues"
            " from here"
        )
