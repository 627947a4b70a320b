"""All documents."""

from tests.documents import datapunk, dredge, jimbot, node_intelligence, project88
from tests.documents.row import Document

DOCUMENTS: tuple[Document, ...] = (
    dredge.DOCUMENT,
    node_intelligence.DOCUMENT,
    project88.DOCUMENT,
    jimbot.DOCUMENT,
    datapunk.DOCUMENT,
)
