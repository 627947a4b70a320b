"""The handler's view of the database."""

from apps.application import documents
from apps.application.documents import Document
from apps.application.message import Message
from apps.common.database import Database


class DatabaseStore:
    """Each call is one committed transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, document_id: str) -> Document | None:
        async with self._database.connection() as connection:
            return await documents.get(connection, document_id)

    async def store(self, message: Message, embedding: list[float]) -> bool:
        async with self._database.connection() as connection:
            return await documents.store(connection, message.id, message.revision, embedding)

    async def fail(self, message: Message, reason: str) -> bool:
        async with self._database.connection() as connection:
            return await documents.fail(connection, message.id, message.revision, reason)
