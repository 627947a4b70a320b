"""All documents."""

from tests.documents import node_intelligence
from tests.documents.row import Document

DOCUMENTS: tuple[Document, ...] = (node_intelligence.DOCUMENT,)
