"""Embeddings on disk, by the text that they are of. A cache: every failure is a miss."""

import array
import asyncio
import contextlib
import hashlib
import logging
import sqlite3
from pathlib import Path

from prometheus_client import Counter

from apps.application.schema import DIMENSIONS
from apps.common.errors import describe

LOG = logging.getLogger(__name__)
LOOKUPS = Counter("vector_lookups_total", "Lookups of embeddings on disk, by result.", ["result"])
FILE = "all-minilm-l6-v2.sqlite"
"""Named after the model, whose embeddings mean nothing to another."""
LOCKED_WITHIN_S = 1.0


class Vectors:
    """The embeddings that are in a folder, at most `maximum`: the oldest are removed."""

    def __init__(self, folder: Path, maximum: int) -> None:
        self._file = folder / FILE
        self._maximum = maximum
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            # A file that is corrupt, for example after the host lost power.
            LOG.warning("the vector cache starts empty", extra={"reason": describe(error)})
            for file in folder.glob(f"{FILE}*"):
                file.unlink()
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, LOCKED_WITHIN_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        # Nothing is lost that can't be computed again.
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors"
            " (id INTEGER PRIMARY KEY AUTOINCREMENT, text BLOB UNIQUE, vector BLOB)"
        )
        return connection

    def close(self) -> None:
        self._connection.close()

    async def get(self, text: str) -> list[float] | None:
        """The embedding of a text, or None."""
        try:
            found = await asyncio.to_thread(self._get, _key(text))
        except sqlite3.Error as error:
            LOG.warning("the vector cache can't be read", extra={"reason": describe(error)})
            found = None
        LOOKUPS.labels("hit" if found else "miss").inc()
        return list(array.array("f", found)) if found else None

    async def put(self, text: str, embedding: list[float]) -> None:
        """Keeps an embedding."""
        try:
            await asyncio.to_thread(self._put, _key(text), array.array("f", embedding).tobytes())
        except sqlite3.Error as error:
            LOG.warning("the vector cache can't be written", extra={"reason": describe(error)})

    def _get(self, key: bytes) -> bytes | None:
        with contextlib.closing(
            self._connection.execute("SELECT vector FROM vectors WHERE text = ?", (key,))
        ) as cursor:
            row = cursor.fetchone()
        return row[0] if row and len(row[0]) == DIMENSIONS * 4 else None

    def _put(self, key: bytes, vector: bytes) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO vectors (text, vector) VALUES (?, ?)", (key, vector)
        )
        self._connection.execute(
            "DELETE FROM vectors WHERE id <= last_insert_rowid() - ?", (self._maximum,)
        )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
