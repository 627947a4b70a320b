"""Waits until a service is healthy, or a job has succeeded: only then may what needs it start.

Docker runs a health check only at intervals; waiting for that would add an interval to each tier of
a stack. So the check's command runs in the container at once, and then with growing pauses, until
it succeeds. Pulumi's Docker provider can wait too, but it polls once a second, and it loses track
of a container that wasn't healthy in time, which then blocks the next update.

The `prepare` command of a service is awaited like a job. An exited container isn't removed: it tells
the next update that there is nothing to run.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pulumi

from strata.errors import StrataError
from strata.model import Probe
from strata.platforms.docker.threads import in_thread

LONGEST_PAUSE_SECONDS = 1.0
LOG_LINES = 15
RESTARTS_MAXIMUM = 5
"""The servers of a container are healthy before it starts, so after this many exits it would only
keep exiting."""
CHECKS_AT_ONCE = 4
"""Each check starts a process in a container: more at once than a small host has cores only slow
down the containers that they check."""
LONGEST_RETRY_PAUSE_SECONDS = 10.0
"""A job's servers are healthy before it starts, so a longer pause would seldom help."""


class NotReadyError(StrataError):
    """A container that the update waits for can't become ready."""


class _Waiter:
    """Waits for containers of one engine. `client` is a `docker.DockerClient`."""

    def __init__(self, client: Any) -> None:
        self._api = client.api

    async def _inspect(self, container: str, name: str) -> dict[str, Any]:
        """The container as `docker inspect` shows it. Raises `NotReadyError` if it is gone."""
        from docker.errors import NotFound

        try:
            inspected: dict[str, Any] = await self._call(self._api.inspect_container, container)
        except NotFound:
            raise NotReadyError(
                f"{name}: is in the stack's state, but no longer exists in Docker",
                "run `pulumi up --refresh`, which creates it again",
            ) from None
        return inspected

    async def _start(self, container: str, name: str) -> None:
        from docker.errors import APIError

        try:
            await self._call(self._api.start, container)
        except APIError as error:
            raise NotReadyError(
                f"{name}: could not be started: {error.explanation or error}",
                "fix the cause and run `pulumi up` again, which continues from here",
            ) from None

    async def _not_ready(self, container: str, name: str, reason: str, then: str) -> NotReadyError:
        """The error, with the end of the log. `then`: what the next update does."""
        logs = await self._call(self._api.logs, container, tail=LOG_LINES)
        lines = logs.decode(errors="replace").rstrip().splitlines() or ["(nothing)"]
        end = "\n".join(f"      {line}" for line in lines)
        return NotReadyError(
            f"{name}: {reason}\n    end of its log:\n{end}",
            f"see `docker logs {name}`, fix the cause and run `pulumi up` again, which {then}",
        )

    async def _call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs a blocking call. An `APIError` is the caller's to handle; an engine that stopped
        responding ends the update."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException

        try:
            return await in_thread(call, *args, **kwargs)
        except APIError:
            raise
        except (DockerException, RequestException) as error:
            raise NotReadyError(
                f"docker: the engine stopped responding: {error}",
                "start it and run `pulumi up` again, which continues from here",
            ) from None


class HealthWaiter(_Waiter):
    """Waits for services."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def wait(self, container: str, name: str, probe: Probe, test: Sequence[str]) -> None:
        """Returns when the container is healthy. A stopped container is started.

        `test` is the command of its health check. Raises `NotReadyError` if the container is gone,
        exits repeatedly, or isn't healthy within `probe.ready_within_seconds`.
        """
        deadline = time.monotonic() + probe.ready_within_seconds
        started = False
        output = "(it did not run)"
        first_restarts: int | None = None
        for pause in _pauses():
            inspected = await self._inspect(container, name)
            state, restarts = inspected["State"], inspected["RestartCount"]
            first_restarts = restarts if first_restarts is None else first_restarts
            failure = ""
            if (state.get("Health") or {}).get("Status") == "healthy":
                return
            if state["Running"] and not state.get("Restarting"):
                output = await self._check(container, test)
                if output == "":
                    return
            elif state["Status"] in ("exited", "created"):
                if not started:  # Stopped by hand, or its restart policy gave up.
                    pulumi.log.info(f"starting {name} (status: {state['Status']})")
                    await self._start(container, name)
                    started = True
                    first_restarts = None  # Docker counts from 0 again.
                    continue
                # Docker doesn't restart it again.
                failure = f"exited with status {state['ExitCode']}"
            if not failure and restarts - first_restarts >= RESTARTS_MAXIMUM:
                failure = f"exited {restarts} times, most recently with status {state['ExitCode']}"
            if not failure and time.monotonic() > deadline:
                failure = f"was not healthy within {probe.ready_within_seconds} s"
            if failure:
                reason = f"{failure}\n    last output of its health check: {output}"
                raise await self._not_ready(container, name, reason, "continues from here")
            await asyncio.sleep(pause)

    async def _check(self, container: str, test: Sequence[str]) -> str:
        """Runs the health check. Returns its output if it failed, otherwise an empty string."""
        from docker.errors import APIError

        async with self._checks:
            try:
                return str(await self._call(self._exec, container, test))
            except APIError as error:  # The container has exited since it was inspected.
                return str(error.explanation or error)

    def _exec(self, container: str, test: Sequence[str]) -> str:
        identifier = self._api.exec_create(container, list(test))["Id"]
        output: str = self._api.exec_start(identifier).decode(errors="replace").strip()
        status = self._api.exec_inspect(identifier)["ExitCode"]
        return "" if status == 0 else output or f"status {status}"


class JobWaiter(_Waiter):
    """Waits for jobs.

    `existing` are the ids of the containers that existed before this update: if such a container
    failed, it failed in an earlier update, and it is started again.
    """

    def __init__(self, client: Any, existing: frozenset[str]) -> None:
        super().__init__(client)
        self._existing = existing

    async def wait(self, container: str, name: str, *, retries: int, timeout_seconds: int) -> None:
        """Returns when the container has exited with status 0.

        An attempt that takes longer than `timeout_seconds` is killed. A failed attempt is retried up
        to `retries` times. Raises `NotReadyError` if the last attempt fails or the container is
        gone.
        """
        deadline = time.monotonic() + timeout_seconds
        attempts = 0 if container in self._existing else 1
        pauses, retry_pauses = _pauses(), _pauses(1.0, 2, LONGEST_RETRY_PAUSE_SECONDS)
        announced = False
        while True:
            state = (await self._inspect(container, name))["State"]
            if state["Status"] == "exited" and state["ExitCode"] == 0:
                return
            if not state["Running"]:
                failure = _failure(state)
            else:
                attempts = max(attempts, 1)
                if not announced:
                    pulumi.log.info(f"{name}: waiting for it to exit", ephemeral=True)
                    announced = True
                if time.monotonic() <= deadline:
                    await asyncio.sleep(next(pauses))
                    continue
                await self._kill(container)
                failure = f"did not exit within {timeout_seconds} s and was killed"
            if attempts > retries:
                count = "" if attempts == 1 else f" (attempt {attempts} of {attempts})"
                reason = f"{failure}{count}"
                raise await self._not_ready(container, name, reason, "runs it again")
            pulumi.log.info(f"{name}: {failure}; starting it again")
            if attempts > 0:
                await asyncio.sleep(next(retry_pauses))
            await self._start(container, name)
            attempts += 1
            deadline = time.monotonic() + timeout_seconds
            pauses = _pauses()

    async def _kill(self, container: str) -> None:
        """Kills it: after `docker stop` it could exit with 0, as if it had succeeded."""
        from docker.errors import APIError

        with suppress(APIError):  # It has exited since it was inspected.
            await self._call(self._api.kill, container)
        await self._call(self._api.wait, container)


def _failure(state: Mapping[str, Any]) -> str:
    if state["Status"] == "created":
        return "was created, but not started"
    memory = " (out of memory)" if state.get("OOMKilled") else ""
    return f"exited with status {state['ExitCode']}{memory}"


def _pauses(
    seconds: float = 0.05, factor: float = 1.5, longest: float = LONGEST_PAUSE_SECONDS
) -> Iterator[float]:
    """Growing pauses, without end."""
    while True:
        yield seconds
        seconds = min(seconds * factor, longest)
