"""The routes of the intelligence service."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apps.common import web
from apps.common.database import Database
from apps.intelligence.cache import Cache
from apps.intelligence.insight import Event, insight
from apps.intelligence.settings import IntelligenceSettings

# The API creates it.
TABLE = "events"
# All pairs of these are compared.
EVENTS_MAX = 300
SERIES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}", re.ASCII)


class Intelligence:
    """What the routes do, on the dependencies of the service."""

    def __init__(self, settings: IntelligenceSettings) -> None:
        self._database = Database(settings, TABLE)
        self._cache = Cache(settings)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Starts without waiting for any dependency: /health shows their states."""
        await self._database.open()
        try:
            yield
        finally:
            await asyncio.gather(
                self._cache.close(), self._database.close(), return_exceptions=True
            )

    async def insight(self, request: Request) -> Response:
        """GET /insights?series=NAME: of the latest events of the series."""
        series = request.query_params.get("series", "")
        if SERIES.fullmatch(series) is None:
            raise web.BadRequestError(
                "series must be 1 to 100 letters, digits or . _ : - and start with a letter or digit"
            )
        if found := await self._cache.get(series):
            return web.answer({**orjson.loads(found), "cached": True})
        events = await self._events(series)
        if not events:
            return web.problem(f"there are no events of {series}", 404)
        computed = orjson.dumps(await asyncio.to_thread(insight, series, events))
        await self._cache.put(series, computed)
        return web.answer({**orjson.loads(computed), "cached": False})

    async def health(self, _: Request) -> Response:
        """GET /health: 200 if insights can be computed. Redis is reported, and isn't required."""
        postgresql, redis = await asyncio.gather(
            web.state(self._database.ping()), web.state(self._cache.ping())
        )
        return web.health({"postgresql": postgresql, "redis": redis}, optional=("redis",))

    async def _events(self, series: str) -> list[Event]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "SELECT id, at, value FROM events WHERE series = %s"
                " ORDER BY at DESC, id DESC LIMIT %s",
                (series, EVENTS_MAX),
            )
            return [Event(*row) for row in await cursor.fetchall()]


def application(settings: IntelligenceSettings) -> Starlette:
    """The web application. Nothing is connected before it starts."""
    service = Intelligence(settings)
    routes = [Route("/insights", web.route("insight", service.insight), methods=["GET"])]
    return web.application(routes, service.health, service.lifespan)
