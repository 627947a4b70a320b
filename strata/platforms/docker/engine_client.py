"""Calls to the Docker engine that the waiters share."""

import asyncio
from contextlib import suppress
from typing import Any

from strata.errors import StrataError

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
LOG_LINES = 15


class NotReadyError(StrataError):
    """A container is not what the update waits for, and will not be."""


class NotReadyError(Exception):
    """A container that the update waits for can't become ready."""


class EngineClient:
    """Inspects and starts the containers of one engine. `client` is a `docker.DockerClient`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def inspect(self, container: str, name: str) -> dict[str, Any]:
        """The container as `docker inspect` shows it. Raises `NotReadyError` if it is gone."""
        from docker.errors import NotFound

        try:
            inspected: dict[str, Any] = await self.call(
                self._client.api.inspect_container, container
            )
        except NotFound:
            raise NotReadyError(
                f"{name}: is in the stack's state, but no longer exists in Docker\n"
                "    run `pulumi up --refresh`, which creates it again"
            ) from None
        return inspected

    async def start(self, container: str, name: str) -> None:
        from docker.errors import APIError

        try:
            await self.call(self._client.api.start, container)
        except APIError as error:
            raise NotReadyError(
                f"{name}: could not be started: {error.explanation or error}\n"
                "    fix the cause and run `pulumi up` again, which continues from here"
            ) from None

    async def kill(self, container: str) -> None:
        from docker.errors import APIError

        with suppress(APIError):  # It has exited since it was inspected.
            await self.call(self._client.api.kill, container)
        await self.call(self._client.api.wait, container)

    async def end_of_log(self, container: str) -> str:
        """The last lines of the container's log, indented for a message."""
        logs = await self.call(self._client.api.logs, container, tail=LOG_LINES)
        lines = logs.decode(errors="replace").rstrip().splitlines() or ["(nothing)"]
        return "\n".join(f"      {line}" for line in lines)

    async def call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs a blocking call. An `APIError` is the caller's to handle; an engine that stopped
        responding ends the update."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException

        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except APIError:
            raise
        except (DockerException, RequestException) as error:
            raise NotReadyError(
                f"docker: the engine stopped responding: {error}\n"
                "    start it and run `pulumi up` again, which continues from here"
            ) from None
