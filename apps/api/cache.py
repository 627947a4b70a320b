"""Query embeddings in Redis. A help and no more: every failure here is a miss."""

import array
import asyncio
import hashlib
import time

from prometheus_client import Counter
from redis.exceptions import RedisError

from apps.application.schema import DIMENSIONS
from apps.application.settings import CacheSettings
from apps.common import redis_client
from apps.common.errors import UnavailableError

LOOKUPS = Counter("cache_lookups_total", "Lookups of query embeddings, by result.", ["result"])

# The model's name is in the key: an embedding of another model means nothing to this one.
PREFIX = "embedding:all-minilm-l6-v2:"
WITHIN_S = 0.25
# After a failure, searches go without the cache for this long, so that a dead Redis costs them
# nothing.
LEFT_ALONE_S = 1.0


class Cache:
    """Embeddings by text."""

    def __init__(self, settings: CacheSettings) -> None:
        self._seconds = settings.cache_seconds
        self._closed_until = 0.0
        self._client = redis_client.connect(settings, WITHIN_S)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, text: str) -> list[float] | None:
        """The embedding of a text, or None."""
        if time.monotonic() < self._closed_until:
            LOOKUPS.labels("unavailable").inc()
            return None
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._client.get(_key(text))
        except (RedisError, OSError, TimeoutError, UnavailableError):
            self._closed_until = time.monotonic() + LEFT_ALONE_S
            LOOKUPS.labels("unavailable").inc()
            return None
        if not isinstance(found, bytes) or len(found) != DIMENSIONS * 4:
            LOOKUPS.labels("miss").inc()
            return None
        LOOKUPS.labels("hit").inc()
        return list(array.array("f", found))

    async def put(self, text: str, embedding: list[float]) -> None:
        """Remembers an embedding for a while."""
        if time.monotonic() < self._closed_until:
            return
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._client.set(
                    _key(text), array.array("f", embedding).tobytes(), ex=self._seconds
                )
        except (RedisError, OSError, TimeoutError, UnavailableError):
            self._closed_until = time.monotonic() + LEFT_ALONE_S

    async def ping(self) -> None:
        """Raises `UnavailableError` when Redis does not answer."""
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError("redis", type(error).__name__) from error


def _key(text: str) -> str:
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()
