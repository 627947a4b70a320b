"""Dynamic batching: texts that wait at the same time go through the model together.

While the model works, requests queue up, and the next batch takes of them those that are about as
long as the oldest, because a batch costs as much as its longest text for every row. Taking the
oldest first means that none waits for ever.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from apps.common import traces

Result = TypeVar("Result")
Tokens = Sequence[int]

# How much of a batch may be padding, by device. A CPU pays for padding as for text, and a batch of
# eight is already worth it: measured on texts of 4 to 40 words with 32 clients, a text costs 3.1 ms
# at 0.05 to 0.1, 3.7 ms at 0.25 and 5.4 ms at 0.5, against 4.9 ms alone. A GPU is idle in a small
# batch, so there full batches count for more.
PADDING_MAX = {"cpu": 0.08, "cuda": 0.5}


class QueueFullError(Exception):
    """More texts wait than the service may hold."""


@dataclass(eq=False)
class _Waiting(Generic[Result]):
    tokens: Tokens
    future: asyncio.Future[Result]
    since: float = field(default_factory=time.monotonic)
    trace: str = field(default_factory=traces.current)


def choose(lengths: Sequence[int], oldest: int, batch_max: int, padding_max: float) -> list[int]:
    """The indices to batch: `oldest`, and those nearest to it in length, while padding stays within
    bounds."""
    order = sorted(range(len(lengths)), key=lambda index: (lengths[index], index))
    left = right = order.index(oldest)
    total = lengths[oldest]
    while right - left + 1 < batch_max:
        options = []
        if left > 0:
            options.append((lengths[order[right]], lengths[order[left - 1]], left - 1, right))
        if right + 1 < len(order):
            options.append((lengths[order[right + 1]], lengths[order[right + 1]], left, right + 1))
        count = right - left + 2
        best = min(options, key=lambda option: option[0] * count - option[1], default=None)
        if best is None or (total + best[1]) < (1 - padding_max) * best[0] * count:
            break
        total += best[1]
        left, right = best[2], best[3]
    return order[left : right + 1]


class Batcher(Generic[Result]):
    """Gathers texts from many callers and runs them through `run`, one batch at a time."""

    def __init__(
        self,
        run: Callable[[list[Tokens]], Awaitable[Sequence[Result]]],
        *,
        batch_max: int,
        wait_s: float,
        queue_max: int,
        padding_max: float,
        observe: Callable[[int, float], None] | None = None,
    ) -> None:
        """`observe` is told the size of each batch and how long its oldest text waited, in
        seconds."""
        self._run = run
        self._batch_max = batch_max
        self._wait_s = wait_s
        self._queue_max = queue_max
        self._padding_max = padding_max
        self._observe = observe
        self._queue: list[_Waiting[Result]] = []
        self._arrived = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Texts that wait for a batch."""
        return len(self._queue)

    async def submit(self, texts: Sequence[Tokens]) -> list[Result]:
        """The results in the order of the texts. Raises `QueueFullError`, or what the run raised.

        All texts are taken or none: a request that is half done is no use to its client.
        """
        if len(self._queue) + len(texts) > self._queue_max:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        mine = [_Waiting[Result](text, loop.create_future()) for text in texts]
        self._queue.extend(mine)
        self._arrived.set()
        try:
            return list(await asyncio.gather(*(each.future for each in mine)))
        finally:
            # A client that went away no longer needs the model's time.
            gone = {id(each) for each in mine if not each.future.done() or each.future.cancelled()}
            if gone:
                self._queue = [each for each in self._queue if id(each) not in gone]

    async def work(self) -> None:
        """Runs batches until it is cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._gather()
                if not self._queue:
                    break
                await self._one_batch()

    async def _gather(self) -> None:
        """Waits for company: until the batch is full or its oldest text has waited long enough."""
        while self._queue and len(self._queue) < self._batch_max:
            left_s = self._queue[0].since + self._wait_s - time.monotonic()
            if left_s <= 0:
                return
            self._arrived.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._arrived.wait()
            except TimeoutError:
                return

    async def _one_batch(self) -> None:
        chosen = choose(
            [len(each.tokens) for each in self._queue], 0, self._batch_max, self._padding_max
        )
        batch = [self._queue[index] for index in chosen]
        taken = set(chosen)
        self._queue = [each for index, each in enumerate(self._queue) if index not in taken]
        if self._observe:
            self._observe(len(batch), time.monotonic() - min(each.since for each in batch))
        started_at_ns = time.time_ns()
        try:
            results = await self._run([each.tokens for each in batch])
        except Exception as error:
            for each in batch:
                if not each.future.done():
                    each.future.set_exception(error)
            return
        finally:
            for trace in {each.trace for each in batch}:
                traces.record("model", trace, started_at_ns, len(batch))
        for each, result in zip(batch, results, strict=True):
            if not each.future.done():
                each.future.set_result(result)
