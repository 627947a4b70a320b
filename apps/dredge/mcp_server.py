"""`python3 -m apps.dredge.mcp_server` runs the MCP server: tools that compute with the model.

It speaks streamable HTTP at /mcp, without sessions, so that any replica answers any request.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR, ToolAnnotations
from pydantic import Field
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from apps.common import serve, traces, web
from apps.common.errors import UnavailableError
from apps.dredge.inputs import COUNT_MAX, TEXT_MAX_CHARACTERS
from apps.dredge.settings import McpSettings
from apps.dredge.texts import Found, Texts
from apps.inference.service import Inference, Vector

PATH = "/mcp"
TEXTS_MAX = 64

TextField = Annotated[str, Field(min_length=1, max_length=TEXT_MAX_CHARACTERS)]
TextsField = Annotated[list[TextField], Field(min_length=1, max_length=TEXTS_MAX)]
CountField = Annotated[int, Field(ge=1, le=COUNT_MAX)]
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


@dataclass(frozen=True)
class Embeddings:
    """A vector of length 1 for each text. `device`: cpu or cuda."""

    vectors: list[list[float]]
    device: str


@dataclass(frozen=True)
class Results:
    """Stored texts, best first."""

    results: list[Found]


class Tools:
    """The tools, with the model and Redis."""

    def __init__(self, settings: McpSettings) -> None:
        self._inference = Inference(settings)
        self._texts = Texts(settings)

    @contextlib.asynccontextmanager
    async def lifespan(self, application: Starlette) -> AsyncIterator[None]:
        """Starts without waiting for Redis, which only a search needs."""
        async with self._inference.lifespan(application):
            yield
        await self._texts.close()

    async def embed(self, texts: TextsField) -> Embeddings:
        """Computes the embedding of each text, which represents its meaning."""
        with _protocol_errors():
            vectors = await self._vectors(texts)
        return Embeddings([vector.tolist() for vector in vectors], self._inference.device)

    async def search(self, query: TextField, count: CountField = 10) -> Results:
        """Finds the stored texts whose meaning is the closest to that of the query."""
        with _protocol_errors():
            (vector,) = await self._vectors([query])
            return Results(await self._texts.find(vector.tolist(), count))

    async def health(self, _: Request) -> Response:
        """GET /health: 200 if the model computes where it should. Redis is reported, and isn't
        required: `embed` works without."""
        failure, redis = await asyncio.gather(
            self._inference.failure(), web.state(self._texts.queued())
        )
        return web.health({"model": failure or web.OK, "redis": redis}, optional=("redis",))

    async def _vectors(self, texts: Sequence[str]) -> list[Vector]:
        return await self._inference.vectors(texts)


class Measured:
    """Counts, times and traces the requests of an application, as `web.route` does for a handler."""

    def __init__(self, name: str, application: ASGIApp) -> None:
        self._name = name
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = time.perf_counter()
        status = 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        traces.take(Headers(scope=scope).get(traces.HEADER))
        with traces.span(self._name, "server") as span:
            try:
                await self._application(scope, receive, send_and_note)
            finally:
                span.set("http.response.status_code", status)
                web.SECONDS.labels(self._name).observe(time.perf_counter() - started_at)
                web.REQUESTS.labels(self._name, status).inc()


def application(settings: McpSettings) -> Starlette:
    """The MCP server as a web application, with the model loaded."""
    tools = Tools(settings)
    # It has nothing that a client could subscribe to.
    server = MCPServer("dredge", subscriptions=False)
    for tool in (tools.embed, tools.search):
        server.add_tool(tool, annotations=READS)
    # The gateway rejects requests for other hosts, and those of other sites' pages.
    server.streamable_http_app(
        json_response=True,
        stateless_http=True,
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    sessions = server.session_manager

    @contextlib.asynccontextmanager
    async def lifespan(started: Starlette) -> AsyncIterator[None]:
        async with tools.lifespan(started), sessions.run():
            yield

    route = Route(PATH, Measured("mcp", sessions.handle_request))
    return web.application([route], tools.health, lifespan)


@contextlib.contextmanager
def _protocol_errors() -> Iterator[None]:
    """An unavailable store is an error of the protocol, not a result of the tool: a client tries
    again."""
    try:
        yield
    except UnavailableError as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from error


if __name__ == "__main__":
    serve.run("mcp", McpSettings, application)
