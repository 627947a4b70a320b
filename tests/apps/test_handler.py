"""What becomes of a message, whatever is down and in whatever order things arrive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from apps.application.documents import Document, as_vector
from apps.application.message import Message
from apps.common.errors import RefusedError, UnavailableError
from apps.worker.handler import Handler, Outcome

VECTOR = [1.0, 0.0]


@dataclass
class FakeStore:
    """Rows in memory, with a number of failures to come first."""

    rows: dict[str, Document] = field(default_factory=dict)
    down: int = 0
    embeddings: dict[str, list[float]] = field(default_factory=dict)

    def _reach(self) -> None:
        if self.down:
            self.down -= 1
            raise UnavailableError("postgresql", "down")

    async def get(self, document_id: str) -> Document | None:
        self._reach()
        return self.rows.get(document_id)

    async def store(self, message: Message, embedding: list[float]) -> bool:
        self._reach()
        row = self.rows.get(message.id)
        if row is None or row.revision != message.revision:
            return False
        self.rows[message.id] = replace(row, status="stored")
        self.embeddings[message.id] = embedding
        return True

    async def fail(self, message: Message, reason: str) -> bool:
        self._reach()
        row = self.rows.get(message.id)
        if row is None or row.revision != message.revision or row.status != "queued":
            return False
        self.rows[message.id] = replace(row, status="failed", reason=reason)
        return True


@dataclass
class FakeEmbedder:
    """Raises what it is given, one error a call, then answers."""

    errors: list[Exception] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    async def __call__(self, text: str) -> list[float]:
        self.texts.append(text)
        if self.errors:
            raise self.errors.pop(0)
        return VECTOR


def queued(revision: int = 1, status: str = "queued") -> FakeStore:
    return FakeStore({"a": Document("a", f"text {revision}", revision, status, None)})


def handle(
    store: FakeStore, embedder: FakeEmbedder, revision: int = 1, held_s: float = 60
) -> Outcome:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    handler = Handler(store, embedder, attempts_max=3, held_s=held_s, sleep=sleep)
    return asyncio.run(handler.handle(Message("a", revision)))


def test_a_document_is_stored() -> None:
    store = queued()
    assert handle(store, FakeEmbedder()) is Outcome.STORED
    assert store.rows["a"].status == "stored"
    assert store.embeddings["a"] == VECTOR


def test_a_slow_older_message_never_overwrites_a_newer_text() -> None:
    store, embedder = queued(revision=2), FakeEmbedder()
    assert handle(store, embedder, revision=1) is Outcome.SUPERSEDED
    assert not embedder.texts
    assert store.rows["a"].status == "queued"


def test_a_text_that_changes_while_it_is_embedded_is_not_stored_under_the_old() -> None:
    store = queued()

    async def embed(_: str) -> list[float]:
        store.rows["a"] = Document("a", "newer", 2, "queued", None)
        return VECTOR

    handler = Handler(store, embed, attempts_max=3)
    assert asyncio.run(handler.handle(Message("a", 1))) is Outcome.SUPERSEDED
    assert "a" not in store.embeddings
    assert store.rows["a"].status == "queued"


@pytest.mark.parametrize("status", ["stored", "failed"])
def test_a_message_that_comes_again_is_done_already(status: str) -> None:
    embedder = FakeEmbedder()
    assert handle(queued(status=status), embedder) is Outcome.SUPERSEDED
    assert not embedder.texts


def test_a_document_that_is_gone_is_no_error() -> None:
    assert handle(FakeStore(), FakeEmbedder()) is Outcome.SUPERSEDED


def test_what_is_down_is_waited_for_and_never_counts() -> None:
    store = queued()
    store.down = 20
    embedder = FakeEmbedder([UnavailableError("inference", "down")] * 20)
    assert handle(store, embedder, held_s=1000) is Outcome.STORED
    assert len(embedder.texts) == 21


def test_what_stays_down_puts_the_message_back() -> None:
    store = queued()
    store.down = 1000
    assert handle(store, FakeEmbedder(), held_s=30) is Outcome.POSTPONED
    assert store.rows["a"].status == "queued"


def test_a_document_that_is_refused_fails_after_so_many_attempts() -> None:
    store = queued()
    embedder = FakeEmbedder([RefusedError("inference answered 422")] * 9)
    assert handle(store, embedder) is Outcome.FAILED
    assert len(embedder.texts) == 3
    assert store.rows["a"].status == "failed"
    assert store.rows["a"].reason == "inference answered 422"


def test_a_refusal_that_passes_is_forgotten() -> None:
    assert (
        handle(queued(), FakeEmbedder([RefusedError("once"), RefusedError("twice")]))
        is Outcome.STORED
    )


def test_marking_a_failure_waits_for_the_database() -> None:
    store = queued()

    class Embedder(FakeEmbedder):
        async def __call__(self, text: str) -> list[float]:
            if len(self.texts) == 2:
                store.down = 5
            return await super().__call__(text)

    assert handle(store, Embedder([RefusedError("no")] * 9), held_s=1000) is Outcome.FAILED
    assert store.rows["a"].status == "failed"


def test_messages_are_written_and_read_back() -> None:
    message = Message("a", 3)
    assert Message.decode(message.encode()) == message
    for bad in (
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"id": 1, "revision": 1}',
        b'{"id": "a", "revision": true}',
    ):
        with pytest.raises(ValueError, match="not a message of ours"):
            Message.decode(bad)


def test_a_vector_as_pgvector_writes_it() -> None:
    assert as_vector([0.5, -1.0, 1e-7]) == "[0.5,-1.0,1e-07]"
