"""`python3 -m apps.project88.reindex` builds the search index again from PostgreSQL."""

import logging

from apps.common import logs, settings
from apps.project88 import documents
from apps.project88.database import Database
from apps.project88.search import Search
from apps.project88.settings import WebSettings

LOG = logging.getLogger(__name__)


def reindex(database: Database, search: Search) -> int:
    """Indexes every document that was read, and returns how many."""
    with database.connection() as connection:
        count = search.put_all(documents.all_done(connection))
    LOG.info("indexed again", extra={"documents": count})
    return count


def is_incomplete(database: Database, search: Search) -> bool:
    """Whether the index lacks documents: for example if its volume was lost."""
    with database.connection() as connection:
        return search.count() < documents.count_done(connection)


if __name__ == "__main__":
    logs.configure("reindex")
    loaded = settings.load(WebSettings)
    reindex(Database(loaded), Search(loaded))
