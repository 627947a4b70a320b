"""What is in the queue: an id and a revision. The text stays in the database, where the newest one
is."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One document to embed."""

    id: str
    revision: int

    def encode(self) -> bytes:
        return json.dumps({"id": self.id, "revision": self.revision}).encode()

    @staticmethod
    def decode(body: bytes) -> "Message":
        """Raises `ValueError` for anything that is not such a message."""
        try:
            content = json.loads(body)
            document_id, revision = content["id"], content["revision"]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError("not a message of ours") from error
        if not isinstance(document_id, str) or type(revision) is not int:
            raise ValueError("not a message of ours")
        return Message(document_id, revision)
