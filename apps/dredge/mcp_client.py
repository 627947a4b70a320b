"""The way to the MCP server. Calls have no session, so that any replica answers them."""

from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import TextContent

from apps.common import traces
from apps.common.errors import RefusedError, UnavailableError, describe

NAME = "mcp"
# Without a handshake (Model Context Protocol, "Versioning").
VERSION = "2026-07-28"
CONNECT_WITHIN_S = 3.0
CALL_WITHIN_S = 20.0
HEALTH_WITHIN_S = 2.5


class Tools:
    """The tools of the MCP server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(CALL_WITHIN_S, connect=CONNECT_WITHIN_S),
            event_hooks={"request": [_trace]},
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The structured result of a tool. Raises `UnavailableError` if there is none, and
        `RefusedError` if the tool rejects the arguments."""
        transport = streamable_http_client(f"{self._url}/mcp", http_client=self._http)
        with traces.span(NAME, "client"):
            try:
                async with Client(transport, mode=VERSION) as client:
                    result = await client.call_tool(tool, arguments, CALL_WITHIN_S)
            except Exception as error:
                cause = _cause(error)
                if isinstance(cause, (MCPError, httpx2.HTTPError, OSError)):
                    raise UnavailableError(NAME, describe(cause)) from error
                raise
        if result.is_error:
            texts = (each.text for each in result.content if isinstance(each, TextContent))
            raise RefusedError("; ".join(texts))
        return result.structured_content or {}

    async def ping(self) -> None:
        """Raises `UnavailableError` unless the MCP server is healthy."""
        try:
            response = await self._http.get(f"{self._url}/health", timeout=HEALTH_WITHIN_S)
        except httpx2.HTTPError as error:
            raise UnavailableError(NAME, describe(error)) from error
        if response.status_code != httpx2.codes.OK:
            raise UnavailableError(NAME, f"status {response.status_code}")


async def _trace(request: httpx2.Request) -> None:
    request.headers.update(traces.headers())


def _cause(error: BaseException) -> BaseException:
    """The first error of a group: the client's tasks wrap what one of them raises."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
