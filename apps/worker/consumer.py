"""Takes messages from the queue, and acknowledges each after its outcome is committed."""

import asyncio
import contextlib
import logging

from aio_pika.abc import AbstractIncomingMessage
from prometheus_client import Counter, Gauge, Histogram

from apps.application import broker
from apps.application.message import Message
from apps.application.settings import BrokerSettings
from apps.common import traces
from apps.common.errors import UnavailableError, describe
from apps.common.retry import Backoff
from apps.worker.handler import Handler, Outcome

LOG = logging.getLogger(__name__)

OUTCOMES = Counter("worker_documents_total", "Messages handled, by outcome.", ["outcome"])
SECONDS = Histogram("worker_document_duration_seconds", "From delivery to outcome, in seconds.")
IN_HAND = Gauge("worker_documents_in_hand", "Messages delivered and not yet acknowledged.")

# What is in hand at a stop gets this long; the rest is redelivered, because it was not
# acknowledged.
DRAIN_S = 5.0


class Consumer:
    """Consumes until it is cancelled, reconnecting whenever the broker was away."""

    def __init__(self, settings: BrokerSettings, handler: Handler, prefetch: int) -> None:
        self._settings = settings
        self._handler = handler
        self._prefetch = prefetch
        self._tasks: set[asyncio.Task[None]] = set()
        self.connected = False

    async def work(self) -> None:
        """Runs until it is cancelled; then finishes what is in hand, within `DRAIN_S`."""
        backoff = Backoff(0.1, 3.0)
        while True:
            try:
                await self._session(backoff)
            except (UnavailableError, *broker.LOST) as error:
                LOG.warning("no broker", extra={"reason": describe(error)})
            self.connected = False
            await asyncio.sleep(backoff.next_s())

    async def _session(self, backoff: Backoff) -> None:
        connection = await broker.connect(self._settings)
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_: closed.set())
        try:
            channel = await connection.channel()
            channel.close_callbacks.add(lambda *_: closed.set())
            await channel.set_qos(prefetch_count=self._prefetch)
            queue = await broker.declare(channel)
            tag = await queue.consume(self._take)
            self.connected = True
            backoff.reset()
            LOG.info("consuming", extra={"prefetch": self._prefetch})
            try:
                await closed.wait()
            except asyncio.CancelledError:
                with contextlib.suppress(*broker.LOST):
                    async with asyncio.timeout(1):
                        await queue.cancel(tag)
                await self._drain()
                raise
            raise UnavailableError(broker.NAME, "the connection was lost")
        finally:
            self.connected = False
            with contextlib.suppress(*broker.LOST):
                async with asyncio.timeout(1):
                    await connection.close()

    async def _take(self, delivery: AbstractIncomingMessage) -> None:
        # A task of its own: one document that waits must not hold up the others.
        task = asyncio.create_task(self._handle(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, delivery: AbstractIncomingMessage) -> None:
        traces.take(delivery.headers.get(traces.HEADER))
        with (
            traces.span("process", "consumer") as span,
            IN_HAND.track_inprogress(),
            SECONDS.time(),
        ):
            try:
                outcome = await self._handler.handle(Message.decode(delivery.body))
            except ValueError:
                LOG.error("a message that is not ours was put aside")
                outcome = Outcome.FAILED
            except Exception:
                # A mistake of this program. The document is put back and stays queued, for the
                # repaired program.
                LOG.exception("the handler broke")
                outcome = Outcome.POSTPONED
                await asyncio.sleep(1)
            span.set("outcome", outcome)
            if outcome in (Outcome.FAILED, Outcome.POSTPONED):
                span.fail(outcome)
        OUTCOMES.labels(outcome).inc()
        try:
            if outcome is Outcome.FAILED:
                # To the dead-letter queue.
                await delivery.reject(requeue=False)
            elif outcome is Outcome.POSTPONED:
                await delivery.nack(requeue=True)
            else:
                await delivery.ack()
        except broker.LOST as error:
            # The broker delivers it again, and it will be found to be done.
            LOG.info("not acknowledged", extra={"reason": describe(error)})

    async def _drain(self) -> None:
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=DRAIN_S)
            for task in left:
                task.cancel()
