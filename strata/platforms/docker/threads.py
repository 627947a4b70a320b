"""Threads for blocking calls of the Docker engine."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from strata.errors import NotReadyError

T = TypeVar("T")

CALLS_AT_ONCE = 16
"""Each call takes seconds at most."""

# Not those of the event loop: Pulumi takes one of these for each resource that it registers, until the
# engine has created it. With more resources than threads (4 for each of `--parallel`), a hook would wait
# for a thread, and every thread for a hook.
_threads = ThreadPoolExecutor(CALLS_AT_ONCE, "docker")


async def in_thread(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Like `asyncio.to_thread`, in threads that only these calls use."""
    # Pulumi's log finds its engine in the context.
    run = partial(copy_context().run, call, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, run)


async def of_engine(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Runs a call of the engine in a thread. An `APIError` is the caller's to handle. Raises
    `NotReadyError`, which ends the update, if the engine stopped responding."""
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
