"""The routes of the API."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from apps.api import inputs
from apps.api.cache import WITHIN_S, Cache
from apps.application import documents, schema
from apps.application.broker import Publisher
from apps.application.embedder import Embed, Embedder
from apps.application.message import Message
from apps.application.settings import ApiSettings
from apps.common import redis_client, web
from apps.common.database import Database
from apps.common.errors import RefusedError

LOG = logging.getLogger(__name__)

PAGE_FOLDER = Path(__file__).parent / "page"
PAGE_FILES = {
    "/": ("index.html", "text/html"),
    "/assets/page.css": ("page.css", "text/css"),
    "/assets/page.js": ("page.js", "text/javascript"),
}
# The page needs nothing from elsewhere, so nothing from elsewhere may get in.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Api:
    """What the routes do, on the stores. `embed` gives the embedding of a query."""

    def __init__(
        self, database: Database, publisher: Publisher, cache: Cache, embed: Embed
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._cache = cache
        self._embed = embed

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/documents", web.route("post_document", self.post), methods=["POST"]),
            Route("/documents/{id}", web.route("get_document", self.get), methods=["GET"]),
            Route("/search", web.route("search", self.search), methods=["GET"]),
        ]

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Starts connecting to the stores, without waiting for any: /health tells when they are
        there. Closes them at the end."""
        await self._database.open()
        tables = asyncio.create_task(self._database.ensure_schema(schema.ensure))
        try:
            yield
        finally:
            tables.cancel()
            await asyncio.gather(
                self._publisher.close(),
                self._cache.close(),
                self._database.close(),
                tables,
                return_exceptions=True,
            )

    async def post(self, request: Request) -> Response:
        """POST /documents: the row is committed, then the message confirmed, then 202 said. After
        that nothing that dies can lose it: the message is on the broker's disk, and should that go,
        the sweeper finds the row."""
        posted = inputs.document(await web.body(request, inputs.BODY_LIMIT_BYTES))
        async with self._database.connection() as connection:
            revision = await documents.put(connection, posted.id, posted.text)
        await self._publisher.publish(Message(posted.id, revision))
        LOG.info("queued", extra={"id": posted.id})
        return web.answer({"id": posted.id, "status": "queued"}, 202)

    async def get(self, request: Request) -> Response:
        """GET /documents/ID"""
        document_id = inputs.document_id(request.path_params["id"])
        async with self._database.connection() as connection:
            found = await documents.get(connection, document_id)
        if found is None:
            return web.problem(f"there is no document {document_id}", 404)
        content = {"id": found.id, "status": found.status, "text": found.text}
        if found.reason:
            content["reason"] = found.reason
        return web.answer(content)

    async def search(self, request: Request) -> Response:
        """GET /search?q=...&k=3"""
        query = inputs.query(request.query_params)
        embedding = await self._cache.get(query.text)
        if embedding is None:
            try:
                embedding = await self._embed(query.text)
            except RefusedError as error:
                raise web.BadRequestError(f"q cannot be searched for: {error}") from error
            await self._cache.put(query.text, embedding)
        async with self._database.connection() as connection:
            results = await documents.search(connection, embedding, query.count)
        return web.answer({"results": [asdict(result) for result in results]})

    async def states(self) -> Mapping[str, str]:
        """The state of each store."""
        postgresql, rabbitmq, redis = await asyncio.gather(
            web.state(self._database.ping()),
            web.state(self._publisher.waiting()),
            web.state(self._cache.ping()),
        )
        return {"postgresql": postgresql, "rabbitmq": rabbitmq, "redis": redis}


def _page(file_name: str, kind: str) -> web.Handler:
    content = (PAGE_FOLDER / file_name).read_bytes()

    async def page(_: Request) -> Response:
        return Response(content, media_type=kind, headers=PAGE_HEADERS)

    return page


def application(settings: ApiSettings) -> Starlette:
    """The web application. Nothing is connected before it starts."""
    embedder = Embedder(settings)
    api = Api(
        Database(settings, schema.TABLE),
        Publisher(settings),
        Cache(redis_client.connect(settings, WITHIN_S), settings.cache_seconds),
        embedder.embed,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with api.connected():
            yield
        await embedder.close()

    async def health(_: Request) -> Response:
        """GET /health: 200 when documents can be taken. Redis is told of, and does not count."""
        return web.health(await api.states(), optional=("redis",))

    pages = [Route(path, web.route("page", _page(*file))) for path, file in PAGE_FILES.items()]
    return web.application([*api.routes, *pages], health, lifespan)
