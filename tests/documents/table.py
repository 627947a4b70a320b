"""All documents."""

from tests.documents.row import Document

DOCUMENTS: tuple[Document, ...] = ()
