"""Messages of RabbitMQ, as its clients publish and read them: in a durable queue of each kind."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import pika  # type: ignore[import-untyped]

from tests.docker import stores
from tests.wait import until

# Every `read` delivers all messages.
KINDS: Mapping[str, Mapping[str, Any]] = {
    "quorum": {"x-queue-type": "quorum", "x-delivery-limit": -1},
    "classic": {"x-queue-type": "classic"},
}


def publish(found: Mapping[str, Any], queue: str, bodies: Iterable[str]) -> None:
    """Publishes to `queue` of each kind. Raises an exception unless the broker confirms each message."""
    persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    with stores.broker(found) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for kind, arguments in KINDS.items():
            channel.queue_declare(f"{kind}-{queue}", durable=True, arguments=dict(arguments))
        for body, kind in product(bodies, KINDS):
            channel.basic_publish("", f"{kind}-{queue}", body.encode(), persistent)


def read(found: Mapping[str, Any], queue: str) -> dict[str, list[str]]:
    """The messages of `queue` by its kind, of which there are some. They stay there."""
    with stores.broker(found) as connection:
        return {kind: _read(connection, f"{kind}-{queue}") for kind in KINDS}


def _read(connection: pika.BlockingConnection, name: str) -> list[str]:
    channel = connection.channel()

    def count() -> int:
        return int(channel.queue_declare(name, passive=True).method.message_count)

    # A quorum queue that is recovering has none.
    until(lambda: count() > 0, f"the messages of {name}")
    # What isn't acknowledged when the connection ends returns. (A consumer would receive at most 2000.)
    return [body.decode() for body in iter(lambda: channel.basic_get(name)[2], None)]
