"""Waits until a job has succeeded, which is when the services that name it in `after` may start.

The same goes for the `prepare` command of a service. An exited container isn't removed: it tells the
next update that there is nothing to run.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pulumi

from strata.platforms.docker.engine_client import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    EngineClient,
    NotReadyError,
)

FIRST_RETRY_PAUSE_SECONDS = 1.0
LONGEST_RETRY_PAUSE_SECONDS = 10.0
"""A job's servers are healthy before it starts, so a longer pause would seldom help."""


class JobWaiter:
    """Waits for jobs.

    `existing` are the ids of the containers that existed before this update: if such a container
    failed, it failed in an earlier update, and it is started again.
    """

    def __init__(self, client: Any, existing: frozenset[str]) -> None:
        self._engine = EngineClient(client)
        self._existing = existing

    async def wait(self, container: str, name: str, *, retries: int, timeout_seconds: int) -> None:
        """Returns when the container has exited with status 0.

        An attempt that takes longer than `timeout_seconds` is killed. A failed attempt is retried up
        to `retries` times. Raises `NotReadyError` if the last attempt fails or the container is
        gone.
        """
        deadline = time.monotonic() + timeout_seconds
        attempts = 0 if container in self._existing else 1
        pause, retry_pause = FIRST_PAUSE_SECONDS, FIRST_RETRY_PAUSE_SECONDS
        announced = False
        while True:
            state = (await self._engine.inspect(container, name))["State"]
            failure = None
            if state["Running"]:
                attempts = max(attempts, 1)
                if not announced:
                    pulumi.log.info(f"{name}: waiting for it to exit", ephemeral=True)
                    announced = True
                if time.monotonic() > deadline:
                    # `docker stop` would let it exit with 0, as if it had succeeded.
                    await self._engine.kill(container)
                    failure = f"did not exit within {timeout_seconds} s and was killed"
            elif state["Status"] == "exited" and state["ExitCode"] == 0:
                return
            else:
                failure = _failure(state)
            if failure is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
                continue
            if attempts > retries:
                count = "" if attempts == 1 else f" (attempt {attempts} of {attempts})"
                raise NotReadyError(await self._report(container, name, f"{failure}{count}"))
            pulumi.log.info(f"{name}: {failure}; starting it again")
            if attempts > 0:
                await asyncio.sleep(retry_pause)
                retry_pause = min(retry_pause * 2, LONGEST_RETRY_PAUSE_SECONDS)
            await self._engine.start(container, name)
            attempts += 1
            deadline = time.monotonic() + timeout_seconds
            pause = FIRST_PAUSE_SECONDS

    async def _report(self, container: str, name: str, reason: str) -> str:
        return (
            f"{name}: {reason}\n"
            f"    end of its log:\n{await self._engine.end_of_log(container)}\n"
            f"    see `docker logs {name}`, fix the cause and run `pulumi up` again, which runs it"
            " again"
        )


def _failure(state: Mapping[str, Any]) -> str:
    if state["Status"] == "created":
        return "was created, but not started"
    memory = " (out of memory)" if state.get("OOMKilled") else ""
    return f"exited with status {state['ExitCode']}{memory}"
