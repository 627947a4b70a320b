"""`python3 -m apps.dredge.server` runs the API: it accepts texts, and finds them by meaning."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import orjson
from prometheus_client import Counter, Gauge
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apps.common import serve, web
from apps.common.errors import RefusedError, UnavailableError
from apps.dredge import inputs
from apps.dredge.mcp_client import Tools
from apps.dredge.settings import ServerSettings
from apps.dredge.texts import QUEUED, Texts

LOG = logging.getLogger(__name__)
LOOKUPS = Counter("dredge_cache_lookups_total", "Lookups of searches, by result.", ["result"])
WAITING = Gauge("dredge_queue_texts", "Texts that are queued.")


class Server:
    """What the routes do, with Redis and the MCP server."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._texts = Texts(settings)
        self._tools = Tools(settings.mcp_url)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Starts without waiting for anything: /health shows what is available."""
        yield
        await asyncio.gather(self._texts.close(), self._tools.close(), return_exceptions=True)

    async def post(self, request: Request) -> Response:
        """POST /texts {"text": "..."}: 202 once Redis has it on disk."""
        text = inputs.text(await web.body(request, inputs.BODY_LIMIT_BYTES))
        identifier = await self._texts.add(text)
        LOG.info("queued", extra={"id": identifier, "characters": len(text)})
        return web.answer({"id": identifier, "status": QUEUED}, 202)

    async def get(self, request: Request) -> Response:
        """GET /texts/ID"""
        found = await self._texts.get(inputs.identifier(request.path_params["identifier"]))
        return web.answer(found) if found else web.problem("there is no such text", 404)

    async def search(self, request: Request) -> Response:
        """GET /search?q=...&k=10"""
        query, count = inputs.search(request.query_params)
        if not self._settings.cache_enabled:
            return web.answer(await self._search(query, count))
        key = await self._texts.search_key(query, count)
        found = await self._texts.cached(key)
        LOOKUPS.labels("hit" if found else "miss").inc()
        if found is None:
            found = orjson.dumps(await self._search(query, count))
            await self._texts.cache(key, found, self._settings.cache_seconds)
        return Response(found, media_type="application/json")

    async def health(self, _: Request) -> Response:
        """GET /health: 200 if texts are accepted. The MCP server is reported, and isn't required:
        texts are queued without it."""
        redis, mcp = await asyncio.gather(
            web.state(self._count_queued()), web.state(self._tools.ping())
        )
        return web.health({"redis": redis, "mcp": mcp}, optional=("mcp",))

    async def _search(self, query: str, count: int) -> dict[str, Any]:
        try:
            return await self._tools.call("search", {"query": query, "count": count})
        except RefusedError as error:
            # The query is of the form that the tool accepts.
            raise UnavailableError("mcp", str(error)) from error

    async def _count_queued(self) -> None:
        WAITING.set(await self._texts.queued())


def application(settings: ServerSettings) -> Starlette:
    """The web application. Nothing is connected before it starts."""
    server = Server(settings)
    routes = [
        Route("/texts", web.route("post", server.post), methods=["POST"]),
        Route("/texts/{identifier}", web.route("get", server.get)),
        Route("/search", web.route("search", server.search)),
    ]
    return web.application(routes, server.health, server.lifespan)


if __name__ == "__main__":
    serve.run("server", ServerSettings, application)
