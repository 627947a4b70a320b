"""The way to RabbitMQ: a connection that reads the password anew, the queues, and publishing that
is confirmed."""

import asyncio
import contextlib
import logging
import ssl
import time

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue
from aio_pika.exceptions import AMQPError

from apps.application.message import Message
from apps.application.settings import BrokerSettings
from apps.common import secret, tls, traces
from apps.common.errors import UnavailableError, describe

LOG = logging.getLogger(__name__)
NAME = "rabbitmq"
QUEUE = "documents"
DEAD_QUEUE = "documents.dead"
CONNECT_TIMEOUT_S = 3.0
CONFIRM_TIMEOUT_S = 5.0
HEALTH_WITHIN_S = 1.5
HEARTBEAT_S = 10
# After a failure, callers are told so at once for this long instead of each waiting for a timeout
# of its own.
FAIL_FAST_S = 0.5
# Everything that means "the broker is not there": its own errors, the network's, and a channel that
# was closed under our feet.
LOST = (AMQPError, OSError, TimeoutError, RuntimeError)


async def connect(settings: BrokerSettings) -> AbstractConnection:
    """A connection that does not reconnect by itself: who holds it knows better when, and with
    which password."""
    password = await asyncio.to_thread(secret.read, settings.rabbitmq_password_file)
    try:
        context = await asyncio.to_thread(_context, settings)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await aio_pika.connect(
                host=settings.rabbitmq_host,
                port=settings.rabbitmq_port,
                login=settings.rabbitmq_user,
                password=password,
                virtualhost=settings.rabbitmq_name,
                ssl=context is not None,
                ssl_context=context,
                client_properties={"connection_name": "strata"},
                heartbeat=HEARTBEAT_S,
            )
    except (AMQPError, OSError, TimeoutError) as error:
        raise UnavailableError(NAME, describe(error)) from error


def _context(settings: BrokerSettings) -> ssl.SSLContext | None:
    if settings.rabbitmq_ca_file is None:
        return None
    return tls.context(
        settings.rabbitmq_ca_file,
        settings.rabbitmq_certificate_file,
        settings.rabbitmq_private_key_file,
    )


async def declare(channel: AbstractChannel) -> AbstractQueue:
    """The queue of documents and the one for those given up. Quorum queues: what is confirmed is on
    the disk."""
    await channel.declare_queue(DEAD_QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    return await channel.declare_queue(
        QUEUE,
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": DEAD_QUEUE,
            # The worker counts what a document was refused for. A redelivery only says that
            # something was down.
            "x-delivery-limit": -1,
        },
    )


class Publisher:
    """Publishes messages that are on the broker's disk when `publish` returns."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._connection: AbstractConnection | None = None
        self._failed_at = -FAIL_FAST_S
        self._failure = ""

    async def publish(self, message: Message) -> None:
        """Raises `UnavailableError` unless the broker confirmed it: then it may be queued or
        not."""
        with traces.span("publish", "producer"):
            await self._publish(message)

    async def _publish(self, message: Message) -> None:
        channel = await self._ready()
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                # Mandatory: a broker that lost the queue says so instead of dropping the message.
                await channel.default_exchange.publish(
                    aio_pika.Message(
                        message.encode(),
                        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                        content_type="application/json",
                        headers=dict(traces.headers()),
                    ),
                    routing_key=QUEUE,
                    mandatory=True,
                )
        except LOST as error:
            await self._drop(channel)
            raise UnavailableError(NAME, describe(error)) from error

    async def waiting(self) -> int:
        """Messages in the queue that no worker has yet."""
        channel = await self._ready()
        try:
            async with asyncio.timeout(HEALTH_WITHIN_S):
                queue = await channel.declare_queue(QUEUE, passive=True)
        except LOST as error:
            await self._drop(channel)
            raise UnavailableError(NAME, describe(error)) from error
        return queue.declaration_result.message_count or 0

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        await self._drop(self._channel)

    async def _ready(self) -> AbstractChannel:
        async with self._lock:
            if self._channel and not self._channel.is_closed:
                return self._channel
            if time.monotonic() - self._failed_at < FAIL_FAST_S:
                raise UnavailableError(NAME, self._failure)
            await self._drop(self._channel)
            try:
                self._connection = await connect(self._settings)
                channel = await self._connection.channel(
                    publisher_confirms=True, on_return_raises=True
                )
                await declare(channel)
            except (UnavailableError, *LOST) as error:
                self._failed_at = time.monotonic()
                self._failure = "it cannot be connected to"
                await self._drop(self._channel)
                if isinstance(error, UnavailableError):
                    raise
                raise UnavailableError(NAME, describe(error)) from error
            self._channel = channel
            LOG.info("connected to the broker")
            return channel

    async def _drop(self, channel: AbstractChannel | None) -> None:
        """Gives the connection up, unless another caller has already replaced it."""
        if channel is not self._channel:
            return
        connection, self._connection, self._channel = self._connection, None, None
        if connection and not connection.is_closed:
            # It is being thrown away; why it would not close does not matter.
            with contextlib.suppress(*LOST):
                async with asyncio.timeout(1):
                    await connection.close()
