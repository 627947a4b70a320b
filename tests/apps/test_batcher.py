"""Dynamic batching, without a model."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import pytest

from apps.inference.batcher import Batcher, QueueFullError, Tokens, choose


class Model:
    """Answers with the first token of each text; records the batches."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[Tokens]] = []
        self.seconds = seconds
        self.error: Exception | None = None

    async def run(self, texts: list[Tokens]) -> Sequence[int]:
        self.batches.append(texts)
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return [text[0] for text in texts]


@contextlib.asynccontextmanager
async def working(
    model: Model, *, batch_max: int = 8, wait_s: float = 0.01, queue_max: int = 100
) -> AsyncIterator[Batcher[int]]:
    batcher: Batcher[int] = Batcher(
        model.run, batch_max=batch_max, wait_s=wait_s, queue_max=queue_max, padding_max=0.25
    )
    task = asyncio.create_task(batcher.work())
    yield batcher
    task.cancel()


def test_each_caller_gets_its_own_in_order() -> None:
    async def go() -> None:
        model = Model()
        async with working(model) as batcher:
            answers = await asyncio.gather(
                *(batcher.submit([[number * 10, 0], [number * 10 + 1, 0]]) for number in range(20))
            )
        assert answers == [[number * 10, number * 10 + 1] for number in range(20)]
        assert max(len(batch) for batch in model.batches) == 8
        assert sum(len(batch) for batch in model.batches) == 40

    asyncio.run(go())


def test_what_waits_together_goes_together() -> None:
    async def go() -> None:
        model = Model()
        async with working(model) as batcher:
            await asyncio.gather(*(batcher.submit([[number, 0]]) for number in range(5)))
        assert len(model.batches) == 1

    asyncio.run(go())


def test_a_text_alone_waits_no_longer_than_it_must() -> None:
    async def go() -> float:
        async with working(Model(), wait_s=0.05) as batcher:
            started_at = time.monotonic()
            await batcher.submit([[1, 2, 3]])
            return time.monotonic() - started_at

    assert 0.04 <= asyncio.run(go()) < 0.5


def test_a_full_batch_does_not_wait() -> None:
    async def go() -> float:
        async with working(Model(), wait_s=5, batch_max=4) as batcher:
            started_at = time.monotonic()
            await batcher.submit([[1], [2], [3], [4]])
            return time.monotonic() - started_at

    assert asyncio.run(go()) < 1


def test_a_full_queue_turns_away_and_takes_all_or_none() -> None:
    async def go() -> None:
        async with working(Model(seconds=0.05), batch_max=1, wait_s=0, queue_max=3) as batcher:
            first = asyncio.create_task(batcher.submit([[1]]))
            await asyncio.sleep(0.01)
            second = asyncio.create_task(batcher.submit([[2], [3]]))
            await asyncio.sleep(0)
            with pytest.raises(QueueFullError):
                await batcher.submit([[4], [5]])
            assert await batcher.submit([[6]]) == [6]
            assert await first == [1]
            assert await second == [2, 3]

    asyncio.run(go())


def test_an_error_reaches_its_callers_and_the_next_batch_works() -> None:
    async def go() -> None:
        model = Model()
        async with working(model) as batcher:
            model.error = RuntimeError("the device is gone")
            with pytest.raises(RuntimeError, match="gone"):
                await batcher.submit([[1], [2]])
            model.error = None
            assert await batcher.submit([[3]]) == [3]

    asyncio.run(go())


def test_a_caller_that_left_is_not_worked_for() -> None:
    async def go() -> None:
        model = Model(seconds=0.05)
        async with working(model, batch_max=1, wait_s=0) as batcher:
            first = asyncio.create_task(batcher.submit([[1]]))
            await asyncio.sleep(0.01)
            left = asyncio.create_task(batcher.submit([[2], [3]]))
            await asyncio.sleep(0)
            left.cancel()
            await first
            assert await batcher.submit([[4]]) == [4]
        assert [batch[0][0] for batch in model.batches] == [1, 4]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("lengths", "batch_max", "expected"),
    [
        ([10], 8, [0]),
        ([10, 10, 10], 2, [0, 1]),
        # A long text beside short ones would make them all long.
        ([10, 200, 11, 9], 8, [3, 0, 2]),
        ([200, 10, 11, 190], 8, [3, 0]),
    ],
)
def test_texts_of_like_length_go_together(
    lengths: list[int], batch_max: int, expected: list[int]
) -> None:
    assert choose(lengths, 0, batch_max, 0.25) == expected


@pytest.mark.parametrize("padding_max", [0.0, 0.08, 0.5])
def test_the_oldest_always_goes_and_padding_is_bounded(padding_max: float) -> None:
    lengths = [(number * 37) % 251 + 3 for number in range(200)]
    for oldest in range(0, 200, 7):
        chosen = choose(lengths, oldest, 32, padding_max)
        assert oldest in chosen
        assert len(set(chosen)) == len(chosen) <= 32
        padded = max(lengths[index] for index in chosen) * len(chosen)
        assert sum(lengths[index] for index in chosen) >= (1 - padding_max) * padded
