"""Waits until a job has ended well, which is when the services that name it in `after` may start.

The same is done for the `prepare` of a service. A container that has ended stays where it is: it
is how the next update knows that there is nothing to run.
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
"""What it calls is healthy before it starts, so what fails here is seldom cured by waiting long."""


class JobWaiter:
    """The gate that services wait at for jobs.

    `earlier` has the ids of the containers that were there before this update: one of them that
    has failed did so in an earlier update, and is run again.
    """

    def __init__(self, client: Any, earlier: frozenset[str]) -> None:
        self._engine = EngineClient(client)
        self._earlier = earlier

    async def wait(self, container: str, name: str, *, retries: int, timeout_seconds: int) -> None:
        """Returns when the container has ended with status 0.

        A try that fails, or takes longer than `timeout_seconds` and is killed then, is followed by
        up to `retries` others. Raises `NotReadyError` where the last one fails too, or the
        container is gone.
        """
        deadline = time.monotonic() + timeout_seconds
        tries = 0 if container in self._earlier else 1
        pause, retry_pause = FIRST_PAUSE_SECONDS, FIRST_RETRY_PAUSE_SECONDS
        told = False
        while True:
            state = (await self._engine.inspect(container, name))["State"]
            failure = None
            if state["Running"]:
                tries = max(tries, 1)
                if not told:
                    pulumi.log.info(f"waiting for {name} to end", ephemeral=True)
                    told = True
                if time.monotonic() > deadline:
                    # Not stopped, which it might answer by ending with 0, as if it were done.
                    await self._engine.kill(container)
                    failure = f"did not end within {timeout_seconds} s, and was killed"
            elif state["Status"] == "exited" and state["ExitCode"] == 0:
                return
            else:
                failure = _end(state)
            if failure is None:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
                continue
            if tries > retries:
                times = "" if tries == 1 else f", at the last of {tries} tries"
                raise NotReadyError(await self._report(container, name, f"{failure}{times}"))
            pulumi.log.info(f"{name} {failure}; it is run again")
            if tries > 0:
                await asyncio.sleep(retry_pause)
                retry_pause = min(retry_pause * 2, LONGEST_RETRY_PAUSE_SECONDS)
            await self._engine.start(container, name)
            tries += 1
            deadline = time.monotonic() + timeout_seconds
            pause = FIRST_PAUSE_SECONDS

    async def _report(self, container: str, name: str, why: str) -> str:
        return (
            f"{name} {why}\n"
            f"    the end of its log:\n{await self._engine.end_of_log(container)}\n"
            f"    see `docker logs {name}`; `pulumi up` again runs it again"
        )


def _end(state: Mapping[str, Any]) -> str:
    if state["Status"] == "created":
        return "was made, but not started"
    memory = ", for lack of memory" if state.get("OOMKilled") else ""
    return f"ended with status {state['ExitCode']}{memory}"
