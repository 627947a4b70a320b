"""The web application: accepts documents, reports their status, searches them."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

from fastapi import (
    APIRouter,
    FastAPI,
    Query,
    Request,
    Response,
    WebSocket,
    WebSocketDisconnect,
    status,
)
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from apps.common import web
from apps.common.errors import UnavailableError, describe
from apps.common.web import BadRequestError
from apps.project88 import broker, documents, reindex, text
from apps.project88.broker import Redis
from apps.project88.database import Database
from apps.project88.documents import QUEUED, Status
from apps.project88.search import Search
from apps.project88.settings import WebSettings

LOG = logging.getLogger(__name__)
BODY_LIMIT_BYTES = 10 * 1024 * 1024
NAME_MAX_CHARACTERS = 200
QUERY_MAX_CHARACTERS = 500
RESULTS_MAX = 50
ROWS_AT_ONCE = 100
HEALTH_WITHIN_S = 2.5
# An event can be lost with Redis: the status is read again after this long without one.
EVENT_WITHIN_S = 5.0
# Of RFC 6455's range for applications; the last digits are those of HTTP's status.
NOT_FOUND_CODE = 4404

NameField = Annotated[str, Query(max_length=NAME_MAX_CHARACTERS, pattern=r"^[^\x00-\x1f]*$")]
QueryField = Annotated[
    str, Query(min_length=1, max_length=QUERY_MAX_CHARACTERS, pattern=r"^[^\x00]*\S[^\x00]*$")
]
CountField = Annotated[int, Query(ge=1, le=RESULTS_MAX)]
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class CountedRoute(APIRoute):
    """A route with the metrics, spans and error responses that all services have."""

    def get_route_handler(self) -> Handler:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as error:
                first = error.errors()[0]
                raise BadRequestError(f"{first['loc'][-1]}: {first['msg']}") from error

        counted = web.route(self.name, handle)

        async def answer(request: Request) -> Response:
            return await counted(request)

        return answer


class Web:
    """What the routes do, on the stores."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._database = Database(settings)
        self._search = Search(settings)
        self._redis = Redis(settings)

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Starts without waiting for any store: /health says when they answer."""
        sweeping = asyncio.create_task(self._work())
        try:
            yield
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
            await self._redis.close()
            self._search.close()
            self._database.close()

    async def post(self, request: Request, name: NameField = "") -> Response:
        """POST /documents: a PDF or text as the body. Answered with 202 once PostgreSQL has it: a
        task that is lost after that is queued again."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in (text.PDF, text.PLAIN):
            raise BadRequestError(f"Content-Type must be {text.PDF} or {text.PLAIN}", 415)
        content = await web.body(request, BODY_LIMIT_BYTES)
        if not content:
            raise BadRequestError("the body is empty")
        document_id = await asyncio.to_thread(self._add, name or "untitled", media_type, content)
        return web.answer({"id": document_id, "status": QUEUED}, 202)

    async def get(self, document_id: UUID) -> Response:
        """GET /documents/ID"""
        found = await asyncio.to_thread(self._get, document_id)
        if found is None:
            return web.problem(f"there is no document {document_id}", 404)
        return web.answer(asdict(found))

    async def search(self, q: QueryField, k: CountField = 10) -> Response:
        """GET /search?q=...&k=10"""
        return web.answer({"results": await asyncio.to_thread(self._find, q, k)})

    async def events(self, socket: WebSocket, document_id: UUID) -> None:
        """WebSocket /events/ID: one message once the document is done or has failed."""
        await socket.accept()
        left = asyncio.create_task(_left(socket))
        waiting = asyncio.create_task(self._until_read(document_id))
        try:
            await asyncio.wait({left, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if left.done():
                return
            found = waiting.result()
            if found is None:
                await socket.close(NOT_FOUND_CODE, "there is no such document")
            else:
                await socket.send_json(asdict(found))
                await socket.close()
        except UnavailableError as error:
            await socket.close(status.WS_1013_TRY_AGAIN_LATER, str(error)[:100])
        except WebSocketDisconnect:
            LOG.info("the client left", extra={"id": str(document_id)})
        finally:
            left.cancel()
            waiting.cancel()

    async def health(self, _: Request) -> Response:
        """GET /health: 200 if documents are accepted and read. Search is reported, and doesn't
        count: without it, documents wait."""
        stores = (self._database.ping, self._redis.ping, self._search.ping)
        postgresql, redis, opensearch = await asyncio.gather(
            *(web.state(_within(store)) for store in stores)
        )
        return web.health(
            {"postgresql": postgresql, "redis": redis, "opensearch": opensearch},
            optional=("opensearch",),
        )

    def _add(self, name: str, media_type: str, content: bytes) -> str:
        with self._database.connection() as connection:
            document_id = documents.add(connection, name, media_type, content)
        try:
            broker.send(broker.READ, document_id)
        except UnavailableError as error:
            LOG.warning("left to the sweep", extra={"id": document_id, "reason": str(error)})
        LOG.info("queued", extra={"id": document_id, "bytes": len(content)})
        return document_id

    def _get(self, document_id: UUID) -> Status | None:
        with self._database.connection() as connection:
            return documents.get(connection, document_id)

    def _find(self, query: str, count: int) -> list[dict[str, Any]]:
        results = self._redis.cached(query, count)
        if results is None:
            results = [asdict(found) for found in self._search.find(query, count)]
            self._redis.cache(query, count, results)
        return results

    async def _until_read(self, document_id: UUID) -> Status | None:
        """The document, once it isn't queued any more. None if there is none."""
        # It subscribes first: what is announced after the status was read isn't missed.
        async with self._redis.events(str(document_id)) as events:
            while True:
                found = await asyncio.to_thread(self._get, document_id)
                if found is None or found.status != QUEUED:
                    return found
                await events.get_message(ignore_subscribe_messages=True, timeout=EVENT_WITHIN_S)

    async def _work(self) -> None:
        """Prepares the stores, then queues documents again whose task was lost, until cancelled."""
        prepared = False
        while True:
            try:
                if not prepared:
                    await asyncio.to_thread(self._prepare)
                    prepared = True
                await asyncio.to_thread(self._sweep)
            except UnavailableError as error:
                LOG.warning("not swept", extra={"reason": describe(error)})
            except Exception:
                # An error of this program: the routes still work.
                LOG.exception("the sweep broke")
            await asyncio.sleep(self._settings.sweep_interval_s if prepared else 1)

    def _prepare(self) -> None:
        with self._database.connection() as connection:
            documents.ensure(connection)
        if reindex.is_incomplete(self._database, self._search):
            reindex.reindex(self._database, self._search)

    def _sweep(self) -> None:
        if self._redis.waiting() > 0:
            # An old document is most likely behind others.
            return
        with self._database.connection() as connection:
            overdue = documents.overdue(connection, self._settings.sweep_after_s, ROWS_AT_ONCE)
        for document_id in overdue:
            broker.send(broker.READ, document_id)
        if overdue:
            LOG.info("queued again", extra={"documents": len(overdue)})


async def _left(socket: WebSocket) -> None:
    """Returns once the client has closed the connection."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _within(ping: Callable[[], None]) -> None:
    try:
        async with asyncio.timeout(HEALTH_WITHIN_S):
            await asyncio.to_thread(ping)
    except TimeoutError:
        raise UnavailableError("a store", f"no answer within {HEALTH_WITHIN_S} s") from None


def application(settings: WebSettings) -> FastAPI:
    """The web application. Nothing is connected before it starts."""
    this = Web(settings)
    router = APIRouter(route_class=CountedRoute)
    router.add_api_route("/documents", this.post, methods=["POST"], status_code=202)
    router.add_api_route("/documents/{document_id}", this.get)
    router.add_api_route("/search", this.search)
    router.add_api_websocket_route("/events/{document_id}", this.events)
    # FastAPI's pages of documentation load their scripts from elsewhere; the schema alone doesn't.
    application = FastAPI(
        title="project88",
        docs_url=None,
        redoc_url=None,
        routes=[*web.own_routes(this.health)],
        exception_handlers=web.error_handlers(),
        lifespan=this.lifespan,
    )
    application.include_router(router)
    return application
