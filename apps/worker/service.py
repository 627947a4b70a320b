"""The worker's parts put together, with a web side for health and metrics."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from apps.application import schema
from apps.application.broker import Publisher
from apps.application.embedder import Embedder
from apps.application.settings import WorkerSettings
from apps.common import web
from apps.common.database import Database
from apps.worker.consumer import Consumer
from apps.worker.handler import Handler
from apps.worker.store import DatabaseStore
from apps.worker.sweeper import Sweeper


class Worker:
    """Consumer and sweeper, for as long as the web side runs."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._database = Database(settings, schema.TABLE)
        self._embedder = Embedder(settings)
        self._publisher = Publisher(settings)
        handler = Handler(
            DatabaseStore(self._database), self._embedder.embed, attempts_max=settings.attempts_max
        )
        self._consumer = Consumer(settings, handler, settings.prefetch)
        self._sweeper = Sweeper(
            self._database, self._publisher, settings.sweep_interval_s, settings.sweep_after_s
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await self._database.open()
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
            await asyncio.gather(
                self._publisher.close(),
                self._embedder.close(),
                self._database.close(),
                return_exceptions=True,
            )

    async def health(self, _: Request) -> Response:
        """200 when it consumes and can store."""
        consuming = self._consumer.connected
        state = {
            "rabbitmq": web.OK if consuming else "rabbitmq is unavailable: not consuming",
            "postgresql": await web.state(self._database.ping()),
        }
        return web.health(state)


def application(settings: WorkerSettings) -> Starlette:
    """The worker as a web application."""
    worker = Worker(settings)
    return web.application([], worker.health, worker.lifespan)
