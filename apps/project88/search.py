"""The full-text index in OpenSearch. It holds nothing that PostgreSQL doesn't."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from opensearchpy import OpenSearch, helpers
from opensearchpy.exceptions import OpenSearchException, RequestError

from apps.common import secret, traces
from apps.common.errors import RefusedError, UnavailableError
from apps.project88.documents import Indexed
from apps.project88.settings import SearchSettings

NAME = "opensearch"
INDEX = "documents"
WITHIN_S = 10
HEALTH_WITHIN_S = 2
EXCERPT_CHARACTERS = 160
# A single node has no place for a replica.
BODY = {
    "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": "strict",
        "properties": {
            "name": {"type": "text"},
            "text": {"type": "text", "analyzer": "english"},
            "keywords": {"type": "text", "analyzer": "english"},
        },
    },
}

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Found:
    """A search result. `score` is OpenSearch's (BM25), which has no upper limit."""

    id: str
    name: str
    score: float
    excerpt: str


class Search:
    """The index, which is created when it is first needed."""

    def __init__(self, settings: SearchSettings) -> None:
        password_file, authority = settings.search_password_file, settings.search_ca_file
        login = password_file and (settings.search_user, secret.read(password_file))
        self._client = OpenSearch(
            hosts=[{"host": settings.search_host, "port": settings.search_port}],
            http_auth=login,
            use_ssl=authority is not None,
            ca_certs=authority and str(authority),
            timeout=WITHIN_S,
            max_retries=0,
        )

    def put(self, document: Indexed) -> None:
        """Indexes a document. When it returns, a search finds it."""
        self._ask(lambda: self._put(document))

    def put_all(self, documents: Iterable[Indexed]) -> int:
        """Indexes documents, and returns how many."""
        actions = (
            {"_index": INDEX, "_id": each.id, "_source": _source(each)} for each in documents
        )

        def put() -> int:
            self._ensure()
            done, _ = helpers.bulk(self._client, actions, refresh=True, request_timeout=60)
            return int(done)

        return self._ask(put)

    def count(self) -> int:
        """The number of documents in the index."""

        def count() -> int:
            self._ensure()
            return int(self._client.count(index=INDEX)["count"])

        return self._ask(count)

    def find(self, text: str, count: int) -> list[Found]:
        """The documents that match best, best first."""
        body = {
            "query": {"multi_match": {"query": text, "fields": ["name^2", "keywords^3", "text"]}},
            "highlight": {
                "fields": {"text": {"fragment_size": EXCERPT_CHARACTERS, "number_of_fragments": 1}},
                "no_match_size": EXCERPT_CHARACTERS,
                "pre_tags": [""],
                "post_tags": [""],
            },
            "_source": ["name"],
            "size": count,
        }
        answer = self._ask(lambda: self._client.search(index=INDEX, body=body))
        return [_found(hit) for hit in answer["hits"]["hits"]]

    def ping(self) -> None:
        """Raises `UnavailableError` unless the cluster can serve its indexes now."""
        health = self._ask(lambda: self._client.cluster.health(request_timeout=HEALTH_WITHIN_S))
        if health["status"] == "red":
            raise UnavailableError(NAME, "its status is red")

    def close(self) -> None:
        self._client.close()

    def _put(self, document: Indexed) -> None:
        self._ensure()
        self._client.index(index=INDEX, id=document.id, body=_source(document), refresh="wait_for")

    def _ensure(self) -> None:
        """Creates the index, unless it exists: otherwise the first document would, without BODY."""
        if self._client.indices.exists(index=INDEX):
            return
        try:
            self._client.indices.create(index=INDEX, body=BODY)
        except RequestError as error:
            # Another process was faster.
            if error.error != "resource_already_exists_exception":
                raise

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        try:
            with traces.span(NAME, "client"):
                return question()
        # Of an error only its kind: the rest may quote the document.
        except RequestError as error:
            raise RefusedError(f"OpenSearch rejects it: {error.error}") from error
        except OpenSearchException as error:
            raise UnavailableError(NAME, type(error).__name__) from error


def _source(document: Indexed) -> dict[str, Any]:
    source = asdict(document)
    del source["id"]
    return source


def _found(hit: dict[str, Any]) -> Found:
    excerpts = hit.get("highlight", {}).get("text", [""])
    return Found(hit["_id"], hit["_source"]["name"], hit["_score"], excerpts[0])
