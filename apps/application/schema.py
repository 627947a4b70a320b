"""The tables. Made by the API when it starts; making them again changes nothing. The extension `vector`
is part of the database."""

import psycopg

TABLE = "documents"
DIMENSIONS = 384
# Two APIs that start at once must not both create; the number is this schema's own, and means
# nothing.
LOCK = 7_203_914_551
# `revision` goes up with each post of an id. A message carries the revision it was made for, and
# only the current one may be stored, so a slow old message never overwrites a newer text.
STATEMENTS = (
    f"""
    CREATE TABLE IF NOT EXISTS {TABLE} (
        id text PRIMARY KEY,
        text text NOT NULL,
        revision bigint NOT NULL DEFAULT 1,
        status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'stored', 'failed')),
        reason text,
        embedding vector({DIMENSIONS}),
        queued_at timestamptz NOT NULL DEFAULT now(),
        published_at timestamptz,
        stored_at timestamptz
    )
    """,
    "CREATE INDEX IF NOT EXISTS documents_queued ON documents (queued_at) WHERE status = 'queued'",
    """
    CREATE INDEX IF NOT EXISTS documents_embedding
        ON documents USING hnsw (embedding vector_cosine_ops)
    """,
)


async def ensure(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
    """Creates what is missing, in one transaction."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        for statement in STATEMENTS:
            await connection.execute(statement.encode())
