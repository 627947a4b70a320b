"""The way to Redis: Celery's broker, the cache of searches, and the events of documents."""

import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import redis
import redis.asyncio
from celery import Celery
from kombu.exceptions import OperationalError
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from apps.common import secret, settings, traces
from apps.common.errors import UnavailableError, describe
from apps.common.redis_client import tls_options
from apps.project88.settings import BrokerSettings

LOG = logging.getLogger(__name__)
NAME = "redis"
QUEUE = "documents"
READ, MAIL = "project88.read", "project88.mail"
WITHIN_S = 2.0

# A document that takes longer is given up.
TASK_LIMIT_S = 60
# Redis delivers a task again that a worker has had for this long: longer than any task takes.
VISIBILITY_TIMEOUT_S = 2 * TASK_LIMIT_S


class Credentials(CredentialProvider):
    """Read for every connection, so that a rotated password counts. Celery creates it by its name."""

    def __init__(self) -> None:
        self._settings = settings.load(BrokerSettings)

    def get_credentials(self) -> tuple[str, str]:
        return (self._settings.redis_user, secret.read(self._settings.redis_password_file))


def _configuration() -> dict[str, Any]:
    loaded = settings.load(BrokerSettings)
    return {
        "broker_url": f"redis://{loaded.redis_host}:{loaded.redis_port}/0"
        f"?credential_provider={Credentials.__module__}.{Credentials.__qualname__}",
        "broker_use_ssl": {
            name: value for name, value in tls_options(loaded).items() if name != "ssl"
        },
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_connect_timeout": WITHIN_S,
            "socket_keepalive": True,
        },
        "broker_connection_retry_on_startup": True,
        # Forever: by default a worker gives up after 100 tries and stops.
        "broker_connection_max_retries": None,
        "task_publish_retry": False,
        "task_default_queue": QUEUE,
        # No pickle: whoever can write to the queue could run code in the worker.
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        # A task is acknowledged once it's done, so it survives its worker.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_soft_time_limit": TASK_LIMIT_S,
        "task_time_limit": TASK_LIMIT_S + 10,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


app = Celery("project88", include=["apps.project88.tasks"])
app.add_defaults(_configuration)


def send(task: str, document_id: str) -> None:
    """Queues a task. Raises `UnavailableError`: then it is queued or not."""
    with traces.span("publish", "producer"):
        try:
            app.send_task(
                task,
                kwargs={"document_id": document_id, "traceparent": traces.current()},
            )
        except (OperationalError, RedisError, OSError) as error:
            raise UnavailableError(NAME, describe(error)) from error


class Redis:
    """What the application itself keeps in Redis. Losing it does no harm."""

    def __init__(self, loaded: BrokerSettings) -> None:
        self._cache_seconds = loaded.cache_seconds
        options: dict[str, Any] = {
            "host": loaded.redis_host,
            "port": loaded.redis_port,
            "credential_provider": Credentials(),
            "socket_connect_timeout": WITHIN_S,
            "decode_responses": True,
            **tls_options(loaded),
        }
        self._client = redis.Redis(**options, socket_timeout=WITHIN_S)
        # Without a timeout: it waits for events.
        self._subscriber = redis.asyncio.Redis(**options)

    async def close(self) -> None:
        self._client.close()
        await self._subscriber.aclose()

    def ping(self) -> None:
        """Raises `UnavailableError` when Redis doesn't answer."""
        with _available():
            self._client.ping()

    def waiting(self) -> int:
        """Tasks that no worker has yet."""
        with _available():
            return int(self._client.llen(QUEUE))

    def cached(self, query: str, count: int) -> list[dict[str, Any]] | None:
        """The cached results of a search. None if there are none, or Redis is away."""
        try:
            with _available():
                found = self._client.get(self._key(query, count))
        except UnavailableError:
            return None
        results: list[dict[str, Any]] | None = json.loads(found) if found else None
        return results

    def cache(self, query: str, count: int, results: list[dict[str, Any]]) -> None:
        with contextlib.suppress(UnavailableError), _available():
            self._client.set(self._key(query, count), json.dumps(results), ex=self._cache_seconds)

    def announce(self, document_id: str, status: str, *, indexed: bool) -> None:
        """Tells whoever waits for the document. `indexed`: searches have other results now."""
        with contextlib.suppress(UnavailableError), _available():
            if indexed:
                self._client.incr("searches:generation")
            self._client.publish(_channel(document_id), status)

    @contextlib.asynccontextmanager
    async def events(self, document_id: str) -> AsyncIterator["redis.asyncio.client.PubSub"]:
        """What is announced about a document from now on."""
        try:
            async with self._subscriber.pubsub() as events:
                await events.subscribe(_channel(document_id))
                yield events
        except (RedisError, OSError) as error:
            raise UnavailableError(NAME, describe(error)) from error

    def _key(self, query: str, count: int) -> str:
        generation = str(self._client.get("searches:generation") or 0)
        digest = hashlib.sha256(f"{count} {query}".encode()).hexdigest()
        return f"searches:{generation}:{digest}"


@contextlib.contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise UnavailableError(NAME, describe(error)) from error


def _channel(document_id: str) -> str:
    return f"documents:{document_id}"
