"""Texts in Redis: the queue, the results, the vectors, and the cache of searches.

The queue is a stream with a consumer group. A result, its vector and the end of its entry in the queue
are one transaction, so that a text is queued or done, whenever a worker or Redis is killed.
"""

import array
import asyncio
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError, ResponseError

from apps.common import redis_client, traces
from apps.common.errors import UnavailableError, describe
from apps.common.settings import RedisSettings

NAME = "redis"
QUEUE = "texts"
GROUP = "workers"
# All workers are one consumer: what a worker leaves behind is found by its age, not by its name.
CONSUMER = "worker"
VECTORS = "vectors"
QUEUED, DONE, FAILED = "queued", "done", "failed"

WITHIN_S = 5.0
HEALTH_WITHIN_S = 1.5
BLOCK_MS = 2000
# Redis writes its append-only file to disk once a second.
DISK_WITHIN_MS = 3000
# Each text that is being accepted has a connection of its own until it's on disk.
CONNECTIONS_MAX = 512


@dataclass(frozen=True)
class Task:
    """A text that a worker is to embed."""

    id: str
    text: str
    traceparent: str


@dataclass(frozen=True)
class Status:
    """A text as clients see it. `device`: what its vector was computed on."""

    id: str
    status: str
    device: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Found:
    """A result of a search. `score`: the cosine similarity, -1 to 1."""

    id: str
    score: float
    text: str


class Texts:
    """What dredge keeps in Redis. Every method raises `UnavailableError` if Redis is."""

    def __init__(self, settings: RedisSettings) -> None:
        self._client = redis_client.connect(settings, WITHIN_S, CONNECTIONS_MAX)

    async def close(self) -> None:
        await self._client.aclose()

    async def queued(self) -> int:
        """The number of texts that aren't done, if Redis answers soon."""
        with _available():
            async with asyncio.timeout(HEALTH_WITHIN_S):
                return int(await self._client.xlen(QUEUE))

    async def add(self, text: str) -> str:
        """Queues a text and returns its id once Redis has written it to disk, within about a second.
        After an `UnavailableError` it is queued or not."""
        with traces.span("publish", "producer"), _available():
            async with self._client.pipeline(transaction=False) as pipeline:
                pipeline.xadd(QUEUE, {"text": text, "traceparent": traces.current()})
                pipeline.waitaof(1, 0, DISK_WITHIN_MS)
                identifier, (written, _) = await pipeline.execute()
        if not written:
            raise UnavailableError(NAME, f"not written to disk within {DISK_WITHIN_MS} ms")
        return str(identifier, "ascii")

    async def get(self, identifier: str) -> Status | None:
        with _available():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hgetall(_key(identifier))
                pipeline.xrange(QUEUE, identifier, identifier)
                result, entries = await pipeline.execute()
        if result:
            fields = {str(key, "ascii"): value.decode() for key, value in result.items()}
            del fields["text"]
            return Status(identifier, **fields)
        return Status(identifier, QUEUED) if entries else None

    async def prepare(self) -> None:
        """Creates the queue, if it doesn't exist."""
        with _available():
            try:
                await self._client.xgroup_create(QUEUE, GROUP, "0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def take(self, claim_after_s: float) -> Task | None:
        """A text that a worker has had for `claim_after_s`, otherwise a new one. None if there is none
        within `BLOCK_MS`. It is taken again unless `finish` or `fail` is called."""
        with _available():
            claimed = await self._client.xautoclaim(
                QUEUE, GROUP, CONSUMER, min_idle_time=round(claim_after_s * 1000), count=1
            )
            entries = claimed[1]
            if not entries:
                streams: Any = await self._client.xreadgroup(
                    GROUP, CONSUMER, {QUEUE: ">"}, count=1, block=BLOCK_MS
                )
                entries = streams[0][1] if streams else []
        if not entries:
            return None
        ((identifier, fields),) = entries
        return Task(
            str(identifier, "ascii"), fields[b"text"].decode(), fields[b"traceparent"].decode()
        )

    async def finish(self, task: Task, vector: Sequence[float], device: str) -> None:
        """Stores the vector and ends the task. Doing it twice changes nothing."""
        with _available():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.execute_command("VADD", VECTORS, "FP32", _blob(vector), task.id)
                self._end(pipeline, task, {"status": DONE, "device": device})
                await pipeline.execute()

    async def fail(self, task: Task, reason: str) -> None:
        """Ends a task without a vector."""
        with _available():
            async with self._client.pipeline(transaction=True) as pipeline:
                self._end(pipeline, task, {"status": FAILED, "reason": reason})
                await pipeline.execute()

    async def find(self, vector: Sequence[float], count: int) -> list[Found]:
        """The texts whose vectors are the most similar, best first."""
        with _available():
            if not await self.done():
                return []
            scores: Any = await self._client.vset().vsim(
                VECTORS, _blob(vector), with_scores=True, count=count
            )
            async with self._client.pipeline(transaction=False) as pipeline:
                for identifier in scores:
                    pipeline.hget(_key(str(identifier, "ascii")), "text")
                texts = await pipeline.execute()
        # Redis maps the cosine to 0 to 1.
        return [
            Found(str(identifier, "ascii"), round(2 * score - 1, 4), text.decode())
            for (identifier, score), text in zip(scores.items(), texts, strict=True)
        ]

    async def done(self) -> int:
        """The number of texts that have vectors. It never falls."""
        with _available():
            return int(await self._client.vset().vcard(VECTORS))

    async def search_key(self, query: str, count: int) -> str:
        """The key of a cached search: another one after each text that is done."""
        digest = hashlib.sha256(f"{count} {query}".encode()).hexdigest()
        return f"search:{await self.done()}:{digest}"

    async def cached(self, key: str) -> bytes | None:
        with _available():
            found = await self._client.get(key)
        return found if isinstance(found, bytes) else None

    async def cache(self, key: str, results: bytes, seconds: int) -> None:
        with _available():
            await self._client.set(key, results, ex=seconds)

    @staticmethod
    def _end(pipeline: Any, task: Task, result: dict[str, str]) -> None:
        pipeline.hset(_key(task.id), mapping={"text": task.text, **result})
        pipeline.xack(QUEUE, GROUP, task.id)
        pipeline.xdel(QUEUE, task.id)


def _key(identifier: str) -> str:
    return f"text:{identifier}"


def _blob(vector: Sequence[float]) -> bytes:
    return array.array("f", vector).tobytes()


@contextlib.contextmanager
def _available() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise UnavailableError(NAME, describe(error)) from error
