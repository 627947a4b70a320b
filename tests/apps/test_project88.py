"""The application of project88: what it reads, what its tasks do when a store is down, what it answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from kombu.utils.imports import symbol_by_name
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from apps.common.errors import RefusedError, UnavailableError
from apps.project88 import broker, documents, tasks, text, web
from apps.project88.documents import Indexed, Status, Upload
from apps.project88.search import Found
from apps.project88.settings import WebSettings, WorkerSettings
from tests.apps.pdf import pdf
from tests.wait import until

ID = str(uuid4())

# -- what is read


def test_the_text_of_a_pdf_is_extracted() -> None:
    content = pdf("Solar panels turn sunlight into power.", "Batteries store it.")
    found = text.extract(content, text.PDF)
    assert " ".join(found.split()) == "Solar panels turn sunlight into power. Batteries store it."


def test_text_is_stored_without_what_postgresql_rejects() -> None:
    assert text.extract(b"  caf\xc3\xa9\0 \xff ", text.PLAIN) == "caf\u00e9 \ufffd"


@pytest.mark.parametrize(
    ("content", "media_type", "reason"),
    [
        (b"%PDF-1.4 and no more", text.PDF, "malformed"),
        (b"no PDF", text.PDF, "malformed"),
        (pdf(), text.PDF, "contains no text"),
        (b" \0\n", text.PLAIN, "contains no text"),
        (b"x" * (text.TEXT_MAX_CHARACTERS + 1), text.PLAIN, "more than 1000000 characters"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(
    content: bytes, media_type: str, reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        text.extract(content, media_type)


def test_keywords_are_phrases_between_stop_words() -> None:
    found = text.keywords(
        "Solar panels and wind turbines are the sources. Solar panels feed the battery storage,"
        " and the battery storage feeds the grid. In 2025 solar panels were cheap."
    )
    assert {"solar panels feed", "wind turbines", "battery storage feeds"} <= set(found)
    words = {word for phrase in found for word in phrase.split()}
    assert not words & {"and", "the", "are", "in", "2025"}
    assert len(found) == len(set(found)) <= text.KEYWORDS_MAX
    assert text.keywords("It is what it is.") == []


# -- tasks


@pytest.fixture
def password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "redis-password"
    file.write_text("first\n")
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(file))
    return file


def test_the_broker_reads_its_password_for_each_connection(password_file: Path) -> None:
    provider = broker.Credentials()
    assert provider.get_credentials() == ("strata", "first")
    password_file.write_text("second\n")
    assert provider.get_credentials() == ("strata", "second")


def test_celery_gets_the_credentials_by_name_and_accepts_only_json(password_file: Path) -> None:
    configuration = broker._configuration()
    assert configuration["accept_content"] == ["json"] == [configuration["task_serializer"]]
    assert password_file.read_text().strip() not in str(configuration)
    with broker.app.connection_for_write(configuration["broker_url"]) as connection:
        assert connection.password is None
        provider = symbol_by_name(str(connection.credential_provider))
    assert provider is broker.Credentials


def test_a_task_is_not_delivered_again_while_it_may_run(password_file: Path) -> None:
    assert password_file.exists()
    configuration = broker._configuration()
    assert configuration["task_acks_late"]
    timeout = configuration["broker_transport_options"]["visibility_timeout"]
    assert timeout > configuration["task_time_limit"] > configuration["task_soft_time_limit"]


class Table:
    """The table of documents, with one row."""

    ATTEMPTS_MAX, DONE, FAILED, QUEUED = documents.ATTEMPTS_MAX, "done", "failed", "queued"

    def __init__(self, upload: tuple[bytes, str] = (b"Bees make honey.", text.PLAIN)) -> None:
        self.status: str = "queued"
        self.reason: str | None = None
        self.attempts, self.upload, self.down = 0, upload, False

    @contextlib.contextmanager
    def connection(self, *_: object) -> Iterator[None]:
        if self.down:
            raise UnavailableError("postgresql", "no connection")
        yield

    def take(self, _: object, document_id: str) -> Upload | None:
        assert document_id == ID
        if self.status != "queued":
            return None
        self.attempts += 1
        return Upload("a name", self.upload[1], self.upload[0], self.attempts)

    def release(self, *_: object) -> None:
        self.attempts -= 1

    def finish(self, _: object, document: Indexed) -> bool:
        assert self.status == "queued"
        self.status, self.keywords = "done", document.keywords
        return True

    def fail(self, _: object, __: str, reason: str) -> bool:
        self.status, self.reason = "failed", reason
        return True


class Index:
    """The search index. `put` does what the test says."""

    def __init__(self) -> None:
        self.stored: list[Indexed] = []
        self.put: Callable[[Indexed], None] = self.stored.append


class Events:
    """Redis, with the events that were announced."""

    def __init__(self) -> None:
        self.announced: list[tuple[str, bool]] = []

    def announce(self, _: str, status: str, *, indexed: bool) -> None:
        self.announced.append((status, indexed))


class Job:
    """A worker on these stores."""

    def __init__(self, table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table, self.index, self.events = table, Index(), Events()
        self.sent: list[tuple[str, str]] = []
        monkeypatch.setattr(tasks, "documents", table)
        monkeypatch.setattr(broker, "send", lambda *sent: self.sent.append(sent))
        database: Any = table
        index: Any = self.index
        redis: Any = self.events
        self.worker = tasks.Worker(database, index, redis, WorkerSettings(smtp_host="mail"))


def test_a_document_is_indexed_before_it_is_done_and_then_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(Table(), monkeypatch)

    def put(document: Indexed) -> None:
        assert job.table.status == "queued"
        job.index.stored.append(document)

    job.index.put = put
    job.worker.read(ID)
    assert (job.table.status, [each.text for each in job.index.stored]) == (
        "done",
        ["Bees make honey."],
    )
    assert job.events.announced == [("done", True)]
    assert job.sent == [(broker.MAIL, ID)]


def test_a_document_that_is_delivered_twice_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Table(), monkeypatch)
    job.worker.read(ID)
    job.worker.read(ID)
    assert (len(job.index.stored), job.sent) == (1, [(broker.MAIL, ID)])


def test_a_document_that_cannot_be_read_fails_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(Table((b"no PDF", text.PDF)), monkeypatch)
    job.worker.read(ID)
    assert (job.table.status, job.table.reason) == ("failed", "the PDF is malformed")
    assert (job.index.stored, job.events.announced, job.sent) == ([], [("failed", False)], [])


def test_a_document_that_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Table(), monkeypatch)

    def late(*_: object) -> str:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(text, "extract", late)
    job.worker.read(ID)
    assert (job.table.status, job.table.reason) == ("failed", "reading it took over 60 s")


def test_a_document_that_killed_the_worker_too_often_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(Table(), monkeypatch)
    job.table.attempts = documents.ATTEMPTS_MAX
    job.worker.read(ID)
    assert (job.table.status, job.table.reason) == ("failed", "reading it failed 5 times")


def test_a_store_that_is_down_leaves_the_document_queued_and_costs_no_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(Table(), monkeypatch)

    def down(_: Indexed) -> None:
        raise UnavailableError("opensearch", "ConnectionError")

    job.index.put = down
    for _ in range(2 * documents.ATTEMPTS_MAX):
        job.worker.read(ID)
    assert (job.table.status, job.table.attempts, job.events.announced) == ("queued", 0, [])
    job.table.down = True
    job.worker.read(ID)
    job.table.down, job.index.put = False, job.index.stored.append
    job.worker.read(ID)
    assert job.table.status == "done"


# -- the web application


class Stores:
    """All stores of the web application. `down` names those that don't answer."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.rows: dict[str, Status] = {}
        self.queued: list[tuple[str, str]] = []
        self.searches = 0
        self.indexed: list[Indexed] = []
        self.cache: dict[str, list[dict[str, Any]]] = {}

    def ping(self, name: str) -> None:
        if name in self.down:
            raise UnavailableError(name, "no connection")


class Rows:
    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    @contextlib.contextmanager
    def connection(self, *_: object) -> Iterator[Stores]:
        self.ping()
        yield self.stores

    def ping(self) -> None:
        self.stores.ping("postgresql")

    def close(self) -> None: ...


class Cache:
    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def ping(self) -> None:
        self.stores.ping("redis")

    def waiting(self) -> int:
        return 0

    def cached(self, query: str, _: int) -> list[dict[str, Any]] | None:
        return self.stores.cache.get(query)

    def cache(self, query: str, _: int, results: list[dict[str, Any]]) -> None:
        self.stores.cache[query] = results

    @contextlib.asynccontextmanager
    async def events(self, document_id: str) -> Any:
        self.ping()

        async def event(**_: object) -> None:
            row = self.stores.rows[document_id]
            self.stores.rows[document_id] = Status(row.id, row.name, "done", None, ["honey"])

        yield SimpleNamespace(get_message=event)

    async def close(self) -> None: ...


class Hits:
    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def ping(self) -> None:
        self.stores.ping("opensearch")

    def count(self) -> int:
        return len(self.stores.indexed)

    def put_all(self, found: Iterable[Indexed]) -> int:
        self.stores.indexed.extend(found)
        return len(self.stores.indexed)

    def find(self, query: str, count: int) -> list[Found]:
        self.stores.searches += 1
        return [Found(ID, query, 1.5, "an excerpt")][:count]

    def close(self) -> None: ...


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    stores = Stores()

    def add(_: object, name: str, media_type: str, content: bytes) -> str:
        assert media_type in (text.PDF, text.PLAIN)
        assert content
        stores.rows[ID] = Status(ID, name, "queued", None, [])
        return ID

    def send(task: str, document_id: str) -> None:
        stores.ping("redis")
        stores.queued.append((task, document_id))

    for name, kind in (("Database", Rows), ("Redis", Cache), ("Search", Hits)):
        monkeypatch.setattr(web, name, lambda _, kind=kind: kind(stores))
    monkeypatch.setattr(broker, "send", send)
    monkeypatch.setattr(documents, "add", add)
    monkeypatch.setattr(documents, "get", lambda _, found: stores.rows.get(str(found)))
    monkeypatch.setattr(documents, "ensure", lambda _: None)
    monkeypatch.setattr(documents, "count_done", lambda _: 0)
    monkeypatch.setattr(documents, "overdue", lambda *_: [])
    return stores


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    assert not stores.down
    with TestClient(web.application(WebSettings())) as client:
        yield client


def post(client: TestClient, content: bytes = b"Bees make honey.", **headers: str) -> Any:
    return client.post(
        "/documents?name=bees", content=content, headers={"content-type": text.PLAIN, **headers}
    )


def test_a_document_is_stored_and_queued(client: TestClient, stores: Stores) -> None:
    answer = post(client)
    assert (answer.status_code, answer.json()) == (202, {"id": ID, "status": "queued"})
    assert stores.queued == [(broker.READ, ID)]
    assert client.get(f"/documents/{ID}").json() == {
        "id": ID,
        "name": "bees",
        "status": "queued",
        "reason": None,
        "keywords": [],
    }


def test_a_document_is_accepted_without_a_broker_and_left_to_the_sweep(
    client: TestClient, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.down = {"redis"}
    assert post(client).status_code == 202
    stores.down = set()
    monkeypatch.setattr(documents, "overdue", lambda *_: [ID])
    with TestClient(web.application(WebSettings(sweep_interval_s=0.01))):
        until(lambda: stores.queued, "the sweep queues it")
    assert set(stores.queued) == {(broker.READ, ID)}


def test_an_incomplete_index_is_built_again_at_the_start(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = [Indexed(ID, "bees", "Bees make honey.", ["honey"])]
    monkeypatch.setattr(documents, "count_done", lambda _: len(done))
    monkeypatch.setattr(documents, "all_done", lambda _: iter(done))
    with TestClient(web.application(WebSettings())):
        until(lambda: stores.indexed == done, "the index is built")


def test_results_are_cached(client: TestClient, stores: Stores) -> None:
    for _ in range(2):
        results = client.get("/search", params={"q": "honey"}).json()["results"]
        assert results == [{"id": ID, "name": "honey", "score": 1.5, "excerpt": "an excerpt"}]
    assert stores.searches == 1


def test_a_websocket_is_told_once_the_document_is_done(client: TestClient) -> None:
    post(client)
    with client.websocket_connect(f"/events/{ID}") as socket:
        assert socket.receive_json()["status"] == "done"
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


@pytest.mark.parametrize(("down", "code"), [("", 4404), ("redis", 1013), ("postgresql", 1013)])
def test_a_websocket_is_closed_with_the_reason(
    client: TestClient, stores: Stores, down: str, code: int
) -> None:
    stores.down = {down}
    with client.websocket_connect(f"/events/{ID}") as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
        assert closed.value.code == code


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("POST", "/documents", b"x", "application/zip"), 415),
        (("POST", "/documents", b"", text.PLAIN), 422),
        (("POST", "/documents", b"x" * (web.BODY_LIMIT_BYTES + 1), text.PDF), 413),
        (("POST", f"/documents?name={'x' * 201}", b"x", text.PLAIN), 422),
        (("POST", "/documents?name=%00", b"x", text.PLAIN), 422),
        (("GET", f"/documents/{ID}", b"", ""), 404),
        (("GET", "/documents/1", b"", ""), 422),
        (("GET", "/search", b"", ""), 422),
        (("GET", "/search?q=%20", b"", ""), 422),
        (("GET", "/search?q=x&k=0", b"", ""), 422),
        (("GET", "/nothing", b"", ""), 404),
        (("DELETE", "/search", b"", ""), 405),
    ],
)
def test_a_bad_request_gets_a_reason(
    client: TestClient, request_: tuple[str, str, bytes, str], status: int
) -> None:
    method, path, content, media_type = request_
    answer = client.request(method, path, content=content, headers={"content-type": media_type})
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("down", "status"), [("postgresql", 503), ("redis", 503), ("opensearch", 200)]
)
def test_health_names_the_store_that_is_down(
    client: TestClient, stores: Stores, down: str, status: int
) -> None:
    assert client.get("/health").status_code == 200
    stores.down = {down}
    answer = client.get("/health")
    assert answer.status_code == status
    states = answer.json()["dependencies"]
    assert states.pop(down) == f"{down} is unavailable: no connection"
    assert set(states.values()) == {"ok"}


def test_a_store_that_is_down_is_no_error_of_the_program(
    client: TestClient, stores: Stores
) -> None:
    stores.down = {"postgresql"}
    answer = post(client)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
