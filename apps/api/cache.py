"""Query embeddings in Redis. A help and no more: every failure here is a miss."""

import array
import asyncio
import hashlib
import time

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from apps.application.schema import DIMENSIONS
from apps.common.errors import UnavailableError
from apps.common.redis_client import LOOKUPS

# The model's name is in the key: an embedding of another model means nothing to this one.
PREFIX = "embedding:all-minilm-l6-v2:"
WITHIN_S = 0.25
# A cluster that doesn't answer at all is no RedisError.
FAILURES = (RedisError, RedisClusterException, OSError, TimeoutError)
# After a failure, searches go without the cache for this long, so that a dead Redis costs them
# nothing.
LEFT_ALONE_S = 1.0


class Cache:
    """Embeddings by text, kept for `seconds`. A command may take `within_s`."""

    def __init__(
        self, client: Redis | RedisCluster, seconds: int, within_s: float = WITHIN_S
    ) -> None:
        self._client = client
        self._seconds = seconds
        self._within_s = within_s
        self._closed_until = 0.0

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, text: str) -> list[float] | None:
        """The embedding of a text, or None."""
        if time.monotonic() < self._closed_until:
            LOOKUPS.labels("unavailable").inc()
            return None
        try:
            async with asyncio.timeout(self._within_s):
                found = await self._client.get(_key(text))
        except (*FAILURES, UnavailableError):
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
            async with asyncio.timeout(self._within_s):
                await self._client.set(
                    _key(text), array.array("f", embedding).tobytes(), ex=self._seconds
                )
        except (*FAILURES, UnavailableError):
            self._closed_until = time.monotonic() + LEFT_ALONE_S

    async def ping(self) -> None:
        """Raises `UnavailableError` when Redis does not answer."""
        try:
            async with asyncio.timeout(self._within_s):
                # Not PING, which a node answers while its cluster rejects all commands.
                await self._client.exists(PREFIX)
        except FAILURES as error:
            raise UnavailableError("redis", type(error).__name__) from error


def _key(text: str) -> str:
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()
