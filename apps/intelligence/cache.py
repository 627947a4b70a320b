"""Insights in Redis. Without it, each request computes its own."""

import asyncio

from redis.exceptions import RedisError

from apps.common import redis_client
from apps.common.errors import UnavailableError
from apps.common.redis_client import LOOKUPS
from apps.intelligence.settings import IntelligenceSettings

# The API removes the key of a series at each new event.
PREFIX = "insight:"
WITHIN_S = 0.25
_FAILURES = (RedisError, OSError, TimeoutError, UnavailableError)


class Cache:
    """Insights as JSON, by series."""

    def __init__(self, settings: IntelligenceSettings) -> None:
        self._seconds = settings.cache_seconds
        self._client = redis_client.connect(settings, WITHIN_S)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, series: str) -> bytes | None:
        """The insight, or None."""
        try:
            async with asyncio.timeout(WITHIN_S):
                found = await self._client.get(PREFIX + series)
        except _FAILURES:
            LOOKUPS.labels("unavailable").inc()
            return None
        LOOKUPS.labels("hit" if found else "miss").inc()
        return found if isinstance(found, bytes) else None

    async def put(self, series: str, insight: bytes) -> None:
        """Stores an insight for a while, if Redis is available."""
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._client.set(PREFIX + series, insight, ex=self._seconds)
        except _FAILURES:
            LOOKUPS.labels("unavailable").inc()

    async def ping(self) -> None:
        """Raises `UnavailableError` when Redis does not answer."""
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise UnavailableError("redis", type(error).__name__) from error
