"""The table of documents. PostgreSQL is the only store that keeps data: tasks and the search index
can be made again from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from apps.project88.database import Connection

QUEUED, DONE, FAILED = "queued", "done", "failed"
ATTEMPTS_MAX = 5
# Two processes that start at once must not both create the table; the number has no meaning.
LOCK = 8_803_914_552
SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS documents (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        name text NOT NULL,
        media_type text NOT NULL,
        content bytea NOT NULL,
        status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'done', 'failed')),
        reason text,
        attempts integer NOT NULL DEFAULT 0,
        text text,
        keywords text[] NOT NULL DEFAULT '{}',
        queued_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX IF NOT EXISTS documents_queued ON documents (queued_at) WHERE status = 'queued'",
)


@dataclass(frozen=True)
class Status:
    """A document as clients see it."""

    id: str
    name: str
    status: str
    reason: str | None
    keywords: list[str]


@dataclass(frozen=True)
class Upload:
    """A document that is to be read. `attempts` includes the present one."""

    name: str
    media_type: str
    content: bytes
    attempts: int


@dataclass(frozen=True)
class Indexed:
    """A document that was read."""

    id: str
    name: str
    text: str
    keywords: list[str]


def ensure(connection: Connection) -> None:
    """Creates what is missing, in the transaction of the connection."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    for statement in SCHEMA:
        connection.execute(statement.encode())


def add(connection: Connection, name: str, media_type: str, content: bytes) -> str:
    """Queues a document and returns its id."""
    cursor = connection.execute(
        "INSERT INTO documents (name, media_type, content) VALUES (%s, %s, %s) RETURNING id",
        (name, media_type, content),
    )
    row = cursor.fetchone()
    if row is None:
        raise LookupError("an INSERT that returns no row")
    return str(row[0])


def get(connection: Connection, document_id: UUID) -> Status | None:
    cursor = connection.execute(
        "SELECT id::text, name, status, reason, keywords FROM documents WHERE id = %s",
        (document_id,),
    )
    row = cursor.fetchone()
    return Status(*row) if row else None


def take(connection: Connection, document_id: str) -> Upload | None:
    """Counts an attempt to read a document. None if it isn't queued."""
    cursor = connection.execute(
        """
        UPDATE documents SET attempts = attempts + 1 WHERE id = %s AND status = 'queued'
        RETURNING name, media_type, content, attempts
        """,
        (document_id,),
    )
    row = cursor.fetchone()
    return Upload(row[0], row[1], bytes(row[2]), row[3]) if row else None


def release(connection: Connection, document_id: str) -> None:
    """Takes an attempt back, which failed because a store was down."""
    connection.execute(
        "UPDATE documents SET attempts = attempts - 1 WHERE id = %s AND status = 'queued'",
        (document_id,),
    )


def finish(connection: Connection, document: Indexed) -> bool:
    """Stores the text and keywords. False if the document isn't queued: it was read twice."""
    cursor = connection.execute(
        """
        UPDATE documents SET status = 'done', reason = NULL, text = %s, keywords = %s
        WHERE id = %s AND status = 'queued'
        """,
        (document.text, document.keywords, document.id),
    )
    return cursor.rowcount == 1


def fail(connection: Connection, document_id: str, reason: str) -> bool:
    """Gives a document up. False if it isn't queued."""
    cursor = connection.execute(
        "UPDATE documents SET status = 'failed', reason = %s WHERE id = %s AND status = 'queued'",
        (reason, document_id),
    )
    return cursor.rowcount == 1


def overdue(connection: Connection, after_s: float, limit: int) -> list[str]:
    """Documents that have been queued for long, as if they were queued now. Leaves rows to another
    process that has them."""
    cursor = connection.execute(
        """
        UPDATE documents SET queued_at = now() WHERE id IN (
            SELECT id FROM documents
            WHERE status = 'queued' AND queued_at < now() - make_interval(secs => %s)
            ORDER BY queued_at LIMIT %s FOR UPDATE SKIP LOCKED
        ) RETURNING id::text
        """,
        (after_s, limit),
    )
    return [row[0] for row in cursor.fetchall()]


def count_done(connection: Connection) -> int:
    row = connection.execute("SELECT count(*) FROM documents WHERE status = 'done'").fetchone()
    return int(row[0]) if row else 0


def all_done(connection: Connection) -> Iterator[Indexed]:
    """Every document that was read, a few at a time."""
    with connection.cursor("all_done") as cursor:
        cursor.itersize = 50
        cursor.execute("SELECT id::text, name, text, keywords FROM documents WHERE status = 'done'")
        for row in cursor:
            yield Indexed(*row)
