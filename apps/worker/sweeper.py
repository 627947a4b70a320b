"""Publishes again what has been queued for long with nothing in the queue: a message was lost with
its broker."""

import asyncio
import logging

import psycopg
from prometheus_client import Counter

from apps.application import documents
from apps.application.broker import Publisher
from apps.application.message import Message
from apps.common.database import Database
from apps.common.errors import UnavailableError, describe

LOG = logging.getLogger(__name__)
SWEPT = Counter("worker_documents_swept_total", "Messages published again by the sweeper.")
ROWS_AT_ONCE = 500


class Sweeper:
    """Sweeps until it is cancelled. Doing it once too often is harmless: a document that is stored
    is skipped."""

    def __init__(
        self, database: Database, publisher: Publisher, interval_s: float, after_s: float
    ) -> None:
        self._database = database
        self._publisher = publisher
        self._interval_s = interval_s
        self._after_s = after_s

    async def work(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                await self.sweep()
            except (UnavailableError, psycopg.Error) as error:
                LOG.info("not swept", extra={"reason": describe(error)})

    async def sweep(self) -> int:
        """Gives the number of messages published. None while messages still wait in the queue: then
        an old document is most likely behind them, and publishing it again would only make the
        queue longer."""
        if await self._publisher.waiting() > 0:
            return 0
        async with self._database.connection() as connection:
            rows = await documents.overdue(connection, self._after_s, ROWS_AT_ONCE)
        for document_id, revision in rows:
            await self._publisher.publish(Message(document_id, revision))
        if rows:
            SWEPT.inc(len(rows))
            LOG.info("published again", extra={"documents": len(rows)})
        return len(rows)
