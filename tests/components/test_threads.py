"""Calls of the engine get a thread while every thread of the event loop is taken."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

from strata.platforms.docker.threads import in_thread

CONTEXT: ContextVar[str] = ContextVar("CONTEXT")


def test_a_call_does_not_wait_for_the_threads_of_the_loop() -> None:
    release = threading.Event()

    async def program() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        # As Pulumi registers a resource: it waits for what the call does.
        registration = loop.run_in_executor(None, release.wait, 30)
        CONTEXT.set("of the program")
        try:
            return await asyncio.wait_for(in_thread(CONTEXT.get), 10)
        finally:
            release.set()
            await registration

    assert asyncio.run(program()) == "of the program"
