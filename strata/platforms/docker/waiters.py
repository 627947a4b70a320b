"""Waits until a service is healthy, or a job has succeeded: only then may what needs it start.

Docker runs a health check only at intervals; waiting for that would add an interval to each tier of
a stack. So the check's command runs in the container at once, and then with growing pauses, until
it succeeds. Pulumi's Docker provider can wait too, but it polls once a second, and it loses track
of a container that wasn't healthy in time, which then blocks the next update.

Pulumi compares the program with its state, not with the engine. So an update without changes waits
here too: a container that doesn't run is started, a disconnected one is connected again, and an
unhealthy one is restarted.

The `prepare` command of a service is awaited like a job. An exited container isn't removed: it tells
the next update that there is nothing to run.
"""

import asyncio
import selectors
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pulumi

from strata.errors import NotReadyError
from strata.model import Probe
from strata.platforms.docker.networks import Connection
from strata.platforms.docker.threads import of_engine

LONGEST_PAUSE_SECONDS = 1.0
LOG_LINES = 15
STOP_SECONDS = 10
"""Docker's default time to stop a container."""
RESTARTS_MAXIMUM = 5
"""The servers of a container are healthy before it starts, so after this many exits it would only
keep exiting."""
CHECKS_AT_ONCE = 4
"""Each check starts a process in a container: more at once than a small host has cores only slow
down the containers that they check."""
REPORT_SECONDS = 10.0
"""How often the reason is shown why a service isn't healthy yet."""
LONGEST_RETRY_PAUSE_SECONDS = 10.0
"""A job's servers are healthy before it starts, so a longer pause would seldom help."""


class Waiter:
    """Waits for containers of one engine. `client` is a `docker.DockerClient`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._api = client.api

    async def _inspect(self, container: str, name: str) -> dict[str, Any]:
        """The container as `docker inspect` shows it. Raises `NotReadyError` if it is gone."""
        from docker.errors import NotFound

        try:
            inspected: dict[str, Any] = await of_engine(self._api.inspect_container, container)
        except NotFound:
            raise NotReadyError(
                f"{name}: is in the stack's state, but no longer exists in Docker",
                "run `pulumi up --refresh`, which creates it again",
            ) from None
        return inspected

    async def _start(self, container: str, name: str) -> None:
        from docker.errors import APIError

        try:
            await of_engine(self._api.start, container)
        except APIError as error:
            raise NotReadyError(
                f"{name}: could not be started: {error.explanation or error}",
                "fix the cause and run `pulumi up` again, which continues from here",
            ) from None

    async def _not_ready(self, container: str, name: str, reason: str, then: str) -> NotReadyError:
        """The error, with the end of the log. `then`: what the next update does."""
        logs = await of_engine(self._api.logs, container, tail=LOG_LINES)
        lines = logs.decode(errors="replace").rstrip().splitlines() or ["(nothing)"]
        end = "\n".join(f"      {line}" for line in lines)
        return NotReadyError(
            f"{name}: {reason}\n    end of its log:\n{end}",
            f"see `docker logs {name}`, fix the cause and run `pulumi up` again, which {then}",
        )

    async def _connect(self, container: str, name: str, connection: Connection) -> None:
        from docker.errors import APIError

        try:
            await of_engine(
                self._api.connect_container_to_network,
                container,
                connection.network,
                ipv4_address=connection.address,
                aliases=list(connection.aliases),
            )
        except APIError as error:
            raise NotReadyError(
                f"{name}: can't be connected to the network {connection.network}:"
                f" {error.explanation or error}",
                "run `pulumi up --refresh`, which creates what is missing",
            ) from None


class HealthWaiter(Waiter):
    """Waits for services.

    `existing` are the ids of the containers that existed before this update: such a container is
    restarted if it is unhealthy.
    """

    def __init__(self, client: Any, existing: Container[str] = frozenset()) -> None:
        super().__init__(client)
        self._existing = existing
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    async def wait(
        self,
        container: str,
        name: str,
        probe: Probe,
        test: Sequence[str],
        connections: Sequence[Connection] = (),
    ) -> None:
        """Returns when the container runs, is on its networks and is healthy now.

        A stopped container is started, a paused one resumed, a disconnected one connected. `test` is
        the command of its health check. Raises `NotReadyError` if the container or a network is gone,
        exits repeatedly, or isn't healthy within `probe.ready_within_seconds`.
        """
        begin = reported = time.monotonic()
        deadline = begin + probe.ready_within_seconds
        started, restarted = False, container not in self._existing
        output = "(it did not run)"
        first_restarts: int | None = None
        for pause in _pauses():
            inspected = await self._inspect(container, name)
            state, restarts = inspected["State"], inspected["RestartCount"]
            first_restarts = restarts if first_restarts is None else first_restarts
            failure = ""
            for connection in connections:
                if connection.network not in inspected["NetworkSettings"]["Networks"]:
                    pulumi.log.warn(f"connecting {name} to the network {connection.network}")
                    await self._connect(container, name, connection)
            if state.get("Paused"):
                pulumi.log.warn(f"resuming {name}: it is paused")
                await of_engine(self._api.unpause, container)
            elif state["Running"] and not state.get("Restarting"):
                if _is_healthy_now(state, probe):
                    return
                output = await self._check(container, test, probe.timeout_seconds)
                if output == "":
                    return
                if _health(state) == "unhealthy" and not restarted:
                    pulumi.log.warn(f"restarting {name}: it is unhealthy: {output}")
                    await of_engine(self._api.restart, container, stop_seconds(inspected))
                    restarted, first_restarts = True, None
                    deadline = time.monotonic() + probe.ready_within_seconds
                    continue
            elif state["Status"] in ("exited", "created"):
                if not started:  # Stopped by hand, or its restart policy gave up.
                    pulumi.log.warn(f"starting {name}: it does not run ({state['Status']})")
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
            if (now := time.monotonic()) - reported >= REPORT_SECONDS:
                reported = now
                reason = await self._reason(container, state, output)
                message = f"{name}: not healthy after {now - begin:.0f} s: {reason}"
                pulumi.log.info(message, ephemeral=True)
            await asyncio.sleep(pause)

    async def _reason(self, container: str, state: Mapping[str, Any], output: str) -> str:
        """Why a container isn't healthy, in one line: Pulumi shows only the first."""
        from docker.errors import APIError

        is_running = state["Running"] and not state.get("Restarting")
        reason = f"its health check: {_last_line(output)}" if is_running else _failure(state)
        with suppress(APIError):  # It is gone: the next inspection reports it.
            logs = await of_engine(self._api.logs, container, tail=1)
            if line := _last_line(logs.decode(errors="replace")):
                reason += f"; end of its log: {line}"
        return reason

    async def _check(self, container: str, test: Sequence[str], timeout_seconds: int) -> str:
        """Runs the health check. Returns its output if it failed, otherwise an empty string."""
        from docker.errors import APIError

        async with self._checks:
            try:
                return str(await of_engine(self._exec, container, test, timeout_seconds))
            except APIError as error:  # The container has exited since it was inspected.
                return str(error.explanation or error)

    def _exec(self, container: str, test: Sequence[str], timeout_seconds: int) -> str:
        from docker.utils.socket import frames_iter

        identifier = self._api.exec_create(container, list(test))["Id"]
        output = b""
        # The SDK reads without a timeout, and a process that hangs never closes its end.
        deadline = time.monotonic() + timeout_seconds
        with (
            self._api.exec_start(identifier, socket=True) as stream,
            selectors.DefaultSelector() as selector,
        ):
            selector.register(stream, selectors.EVENT_READ)
            frames = frames_iter(stream, tty=False)  # type: ignore[no-untyped-call]
            while selector.select(max(0.0, deadline - time.monotonic())):
                frame = next(frames, None)
                if frame is None:
                    status = self._api.exec_inspect(identifier)["ExitCode"]
                    text = output.decode(errors="replace").strip()
                    return "" if status == 0 else text or f"status {status}"
                output += frame[1]
        return f"no answer within {timeout_seconds} s"


class JobWaiter(Waiter):
    """Waits for jobs.

    `existing` are the ids of the containers that existed before this update: if such a container
    failed, it failed in an earlier update, and it is started again.
    """

    def __init__(self, client: Any, existing: Container[str]) -> None:
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
            await of_engine(self._api.kill, container)
        await of_engine(self._api.wait, container)


def stop_seconds(inspected: Mapping[str, Any]) -> int:
    """How long a container has to stop after its stop signal."""
    return int(inspected["Config"].get("StopTimeout") or STOP_SECONDS)


def _health(state: Mapping[str, Any]) -> str:
    """The health of a container as the engine reports it, or an empty string."""
    return str((state.get("Health") or {}).get("Status", ""))


def _is_healthy_now(state: Mapping[str, Any], probe: Probe) -> bool:
    """Whether the engine's own last check succeeded, and no check is overdue: the engine keeps the
    health of a container that hangs until enough checks have failed."""
    checks = (state.get("Health") or {}).get("Log") or ()
    if _health(state) != "healthy" or not checks:
        return False
    age = datetime.now(UTC) - datetime.fromisoformat(checks[-1]["End"])
    due_seconds = probe.interval_seconds + probe.timeout_seconds
    return checks[-1]["ExitCode"] == 0 and abs(age.total_seconds()) <= due_seconds


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


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
