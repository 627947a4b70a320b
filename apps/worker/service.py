"""The worker's parts put together, with a web side for health and metrics."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from apps.application import schema
from apps.application.broker import Publisher
from apps.application.embedder import Embed, Embedder
from apps.application.settings import ConsumerSettings, WorkerSettings
from apps.common import web
from apps.common.database import Database
from apps.worker.consumer import Consumer
from apps.worker.handler import Handler
from apps.worker.store import DatabaseStore
from apps.worker.sweeper import Sweeper


class Worker:
    """Consumer and sweeper, on the stores. `embed` gives the embedding of a text."""

    def __init__(
        self, settings: ConsumerSettings, database: Database, publisher: Publisher, embed: Embed
    ) -> None:
        handler = Handler(DatabaseStore(database), embed, attempts_max=settings.attempts_max)
        self._consumer = Consumer(settings, handler, settings.prefetch)
        self._sweeper = Sweeper(
            database, publisher, settings.sweep_interval_s, settings.sweep_after_s
        )

    @property
    def state(self) -> str:
        """Whether it consumes."""
        return web.OK if self._consumer.connected else "rabbitmq is unavailable: not consuming"

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Works until the end."""
        tasks = [
            asyncio.create_task(self._consumer.work()),
            asyncio.create_task(self._sweeper.work()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def application(settings: WorkerSettings) -> Starlette:
    """The worker as a web application."""
    database = Database(settings, schema.TABLE)
    publisher = Publisher(settings)
    embedder = Embedder(settings)
    worker = Worker(settings, database, publisher, embedder.embed)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await database.open()
        async with worker.working():
            yield
        await asyncio.gather(
            publisher.close(), embedder.close(), database.close(), return_exceptions=True
        )

    async def health(_: Request) -> Response:
        """200 when it consumes and can store."""
        state = {"rabbitmq": worker.state, "postgresql": await web.state(database.ping())}
        return web.health(state)

    return web.application([], health, lifespan)
