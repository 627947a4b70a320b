"""What is asked of the table of documents."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.common.database import Connection


@dataclass(frozen=True)
class Document:
    """One row, without its embedding."""

    id: str
    text: str
    revision: int
    status: str
    reason: str | None


@dataclass(frozen=True)
class Found:
    """One search result; `score` is the cosine similarity, 1 at best."""

    id: str
    score: float
    text: str


def as_vector(values: Sequence[float]) -> str:
    """How pgvector writes a vector."""
    return f"[{','.join(map(repr, values))}]"


async def put(connection: Connection, document_id: str, text: str) -> int:
    """Queues a document and gives its revision. A text that is the same keeps its embedding, so it
    stays findable while it is embedded again; an old embedding never stands for a new text."""
    cursor = await connection.execute(
        """
        INSERT INTO documents AS old (id, text, published_at) VALUES (%s, %s, now())
        ON CONFLICT (id) DO UPDATE SET
            text = excluded.text,
            revision = old.revision + 1,
            status = 'queued',
            reason = NULL,
            embedding = CASE WHEN old.text = excluded.text THEN old.embedding END,
            queued_at = now(),
            published_at = now(),
            stored_at = NULL
        RETURNING revision
        """,
        (document_id, text),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("an upsert that returns no row")
    return int(row[0])


async def get(connection: Connection, document_id: str) -> Document | None:
    cursor = await connection.execute(
        "SELECT id, text, revision, status, reason FROM documents WHERE id = %s", (document_id,)
    )
    row = await cursor.fetchone()
    return Document(*row) if row else None


async def store(
    connection: Connection, document_id: str, revision: int, embedding: Sequence[float]
) -> bool:
    """Stores the embedding of that revision. False when a newer one has taken its place."""
    cursor = await connection.execute(
        """
        UPDATE documents
        SET embedding = %s::vector, status = 'stored', stored_at = now(), reason = NULL
        WHERE id = %s AND revision = %s
        """,
        (as_vector(embedding), document_id, revision),
    )
    return cursor.rowcount == 1


async def fail(connection: Connection, document_id: str, revision: int, reason: str) -> bool:
    """Marks that revision as failed. False when a newer one has taken its place, or it was
    stored."""
    cursor = await connection.execute(
        """
        UPDATE documents SET status = 'failed', reason = %s
        WHERE id = %s AND revision = %s AND status = 'queued'
        """,
        (reason, document_id, revision),
    )
    return cursor.rowcount == 1


async def overdue(connection: Connection, after_s: float, limit: int) -> list[tuple[str, int]]:
    """Takes documents that have been queued for long, and marks them as published now. Rows that
    another sweeper has are left to it."""
    cursor = await connection.execute(
        """
        UPDATE documents SET published_at = now() WHERE id IN (
            SELECT id FROM documents
            WHERE status = 'queued'
              AND coalesce(published_at, queued_at) < now() - make_interval(secs => %s)
            ORDER BY queued_at LIMIT %s FOR UPDATE SKIP LOCKED
        ) RETURNING id, revision
        """,
        (after_s, limit),
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def search(connection: Connection, embedding: Sequence[float], count: int) -> list[Found]:
    """The nearest documents, best first."""
    # The index gives at most ef_search rows, and fewer where it meets rows of old revisions: let it
    # go on until there are enough.
    await connection.execute(
        """
        SELECT set_config('hnsw.ef_search', %s, true),
               set_config('hnsw.iterative_scan', 'strict_order', true)
        """,
        (str(max(40, count)),),
    )
    vector = as_vector(embedding)
    cursor = await connection.execute(
        """
        SELECT id, 1 - (embedding <=> %s::vector) AS score, text FROM documents
        WHERE embedding IS NOT NULL ORDER BY embedding <=> %s::vector LIMIT %s
        """,
        (vector, vector, count),
    )
    return [Found(row[0], round(float(row[1]), 6), row[2]) for row in await cursor.fetchall()]
