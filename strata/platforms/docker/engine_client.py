"""What the gates have in common: asking the engine about a container, and saying what is wrong."""

import asyncio
from contextlib import suppress
from typing import Any

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
LOG_LINES = 15


class NotReadyError(Exception):
    """A container is not what the update waits for, and will not be."""


class EngineClient:
    """Asks one engine about containers. `client` is a `docker.DockerClient`."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def inspect(self, container: str, name: str) -> dict[str, Any]:
        """The container as the engine has it. Raises `NotReadyError` where it is gone."""
        from docker.errors import NotFound

        try:
            inspected: dict[str, Any] = await self.call(
                self._client.api.inspect_container, container
            )
        except NotFound:
            raise NotReadyError(
                f"{name} is in the state of the stack, but Docker has it no more (was it removed"
                " by hand?)\n    run `pulumi up --refresh`, which looks first and makes it again"
            ) from None
        return inspected

    async def start(self, container: str, name: str) -> None:
        from docker.errors import APIError

        try:
            await self.call(self._client.api.start, container)
        except APIError as error:
            raise NotReadyError(
                f"{name} could not be started: {error.explanation or error}\n"
                "    set right what it names, then `pulumi up` again carries on from here"
            ) from None

    async def kill(self, container: str) -> None:
        from docker.errors import APIError

        with suppress(APIError):  # It ended in between.
            await self.call(self._client.api.kill, container)
        await self.call(self._client.api.wait, container)

    async def end_of_log(self, container: str) -> str:
        """The last lines that the container printed, indented, for a person."""
        logs = await self.call(self._client.api.logs, container, tail=LOG_LINES)
        lines = logs.decode(errors="replace").rstrip().splitlines() or ["(nothing)"]
        return "\n".join(f"      {line}" for line in lines)

    async def call(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """What the engine answers. An engine that refuses (`APIError`) is the caller's to judge;
        one that is gone ends the update."""
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException

        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except APIError:
            raise
        except (DockerException, RequestException) as error:
            raise NotReadyError(
                f"Docker stopped answering: {error}\n"
                "    start it again, then `pulumi up` again carries on from here"
            ) from None
