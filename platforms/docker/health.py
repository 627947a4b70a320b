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

from workload import Probe

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
LOG_LINES = 15
RESTARTS_MAXIMUM = 5
"""What a service links to is healthy before it starts, so one that ended this often will go on so."""
CHECKS_AT_ONCE = 4
"""Each check starts a process in a container: more at once than a small host has cores only
delay what they ask about."""


class UnhealthyError(Exception):
    """A container did not become healthy in time."""


class Health:
    """The gate that a client waits at for its servers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def wait(self, container: str, name: str, probe: Probe, test: Sequence[str]) -> None:
        """Returns when the container is healthy.

        `test` is the command of its health check. A stopped container is started. Raises
        `UnhealthyError` where it is gone, ends again and again, or is not healthy within
        `probe.ready_within_seconds`.
        """
        deadline = time.monotonic() + probe.ready_within_seconds
        pause = FIRST_PAUSE_SECONDS
        started = False
        last = "it was not asked"
        first_restarts: int | None = None
        while True:
            inspected = await self._inspect(container, name)
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
                    raise UnhealthyError(await self._report(container, name, why, last))
                # Stopped by hand, or a restart policy that gave up: an update sets it right.
                pulumi.log.info(f"starting {name}, which was {state['Status']}")
                await self._start(container, name)
                started = True
                first_restarts = None  # Docker counts from 0 again.
                continue
            if restarts - first_restarts >= RESTARTS_MAXIMUM:
                why = f"ended {restarts} times, the last time with status {state['ExitCode']}"
                raise UnhealthyError(await self._report(container, name, why, last))
            if time.monotonic() > deadline:
                why = f"was not healthy within {probe.ready_within_seconds} s"
                raise UnhealthyError(await self._report(container, name, why, last))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)

    async def _inspect(self, container: str, name: str) -> dict[str, Any]:
        from docker.errors import NotFound

        try:
            inspected: dict[str, Any] = await self._call(
                self._client.api.inspect_container, container
            )
        except NotFound:
            raise UnhealthyError(
                f"{name} is in the state of the stack, but Docker has it no more (was it removed"
                " by hand?)\n    run `pulumi up --refresh`, which looks first and makes it again"
            ) from None
        return inspected

    async def _start(self, container: str, name: str) -> None:
        from docker.errors import APIError

        try:
            await self._call(self._client.api.start, container)
        except APIError as error:
            raise UnhealthyError(
                f"{name} could not be started: {error.explanation or error}\n"
                "    set right what it names, then `pulumi up` again carries on from here"
            ) from None

    async def _check(self, container: str, test: Sequence[str]) -> str:
        """Runs the health check; an empty string says that it succeeded, else what it printed."""
        from docker.errors import APIError

        async with self._checks:
            try:
                return str(await self._call(self._exec, container, test))
            except APIError as error:  # It stopped in between.
                return str(error.explanation or error)

    def _exec(self, container: str, test: Sequence[str]) -> str:
        api = self._client.api
        run = api.exec_create(container, list(test))["Id"]
        output = api.exec_start(run).decode(errors="replace").strip()
        status = api.exec_inspect(run)["ExitCode"]
        return "" if status == 0 else output or f"status {status}"

    async def _report(self, container: str, name: str, why: str, last: str) -> str:
        logs = await self._call(self._client.api.logs, container, tail=LOG_LINES)
        lines = logs.decode(errors="replace").rstrip().splitlines() or ["(nothing)"]
        shown = "\n".join(f"      {line}" for line in lines)
        return (
            f"{name} {why}\n"
            f"    its health check last said: {last}\n"
            f"    the end of its log:\n{shown}\n"
            f"    see `docker logs {name}`; `pulumi up` again carries on from here"
        )

    async def _call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """What the engine answers. An engine that refuses (`APIError`) is the caller's to judge;
        one that is gone ends the update."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException

        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except APIError:
            raise
        except (DockerException, RequestException) as error:
            raise UnhealthyError(
                f"Docker stopped answering: {error}\n"
                "    start it again, then `pulumi up` again carries on from here"
            ) from None
