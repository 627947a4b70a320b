"""What becomes of one message. Plain decisions over the database and the embedder, so that they can
be tested without."""

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import psycopg

from apps.application.documents import Document
from apps.application.embedder import Embed
from apps.application.message import Message
from apps.common.errors import RefusedError, UnavailableError, describe
from apps.common.retry import Backoff

LOG = logging.getLogger(__name__)

# A message that waits for a dependency longer than this goes back to the queue, so that another
# worker may try: the dependency may only be unreachable from here.
HELD_S = 300.0


class Outcome(enum.StrEnum):
    """`stored`, or: `superseded` by a newer text or already stored; `failed` for good; `postponed`
    to a later delivery."""

    STORED = "stored"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    POSTPONED = "postponed"


class Store(Protocol):
    """What the handler needs of the database. Each call is a transaction of its own, committed when
    it returns."""

    async def get(self, document_id: str) -> Document | None: ...

    async def store(self, message: Message, embedding: list[float]) -> bool: ...

    async def fail(self, message: Message, reason: str) -> bool: ...


class Handler:
    """Handles messages; may be called many times at once."""

    def __init__(
        self,
        store: Store,
        embed: Embed,
        *,
        attempts_max: int,
        held_s: float = HELD_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._embed = embed
        self._attempts_max = attempts_max
        self._held_s = held_s
        self._sleep = sleep

    async def handle(self, message: Message) -> Outcome:
        """Does not return before its outcome is committed. What is down is waited for and never
        counts as an attempt."""
        backoff = Backoff(0.2, 5.0)
        waited_s = 0.0
        attempts = 0
        reason = ""
        while True:
            try:
                if attempts >= self._attempts_max:
                    return await self._give_up(message, reason)
                return await self._once(message)
            except UnavailableError as error:
                if waited_s >= self._held_s:
                    LOG.warning("put back", extra={"id": message.id, "reason": describe(error)})
                    return Outcome.POSTPONED
            except (RefusedError, psycopg.Error) as error:
                attempts += 1
                # Of a database error only its kind: the rest may quote the document.
                reason = str(error) if isinstance(error, RefusedError) else type(error).__name__
                LOG.warning(
                    "refused", extra={"id": message.id, "attempt": attempts, "reason": reason}
                )
            delay_s = backoff.next_s()
            waited_s += delay_s
            await self._sleep(delay_s)

    async def _once(self, message: Message) -> Outcome:
        document = await self._store.get(message.id)
        if document is None or document.revision != message.revision or document.status != "queued":
            return Outcome.SUPERSEDED
        embedding = await self._embed(document.text)
        stored = await self._store.store(message, embedding)
        if not stored:
            return Outcome.SUPERSEDED
        LOG.info("stored", extra={"id": message.id})
        return Outcome.STORED

    async def _give_up(self, message: Message, reason: str) -> Outcome:
        failed = await self._store.fail(message, reason)
        return Outcome.FAILED if failed else Outcome.SUPERSEDED
