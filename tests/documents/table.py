"""All documents."""

from tests.documents import jimbot, node_intelligence, project88
from tests.documents.row import Document

DOCUMENTS: tuple[Document, ...] = (node_intelligence.DOCUMENT, project88.DOCUMENT, jimbot.DOCUMENT)
