"""An event loop for one program on Pulumi mocks."""

import asyncio
import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def own_loop() -> Iterator[None]:
    """Pulumi takes the current loop of the thread, which a program that ran before may have left in
    any state. What this one leaves undone, as one that was refused does, is dropped at its end."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        undone = asyncio.all_tasks(loop)
        for task in undone:
            task.cancel()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            loop.run_until_complete(asyncio.gather(*undone, return_exceptions=True))
