"""The programs of dredge: what the server accepts, what a worker does when something is unavailable, and
what the MCP server offers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette
from starlette.testclient import TestClient

from apps.common.errors import RefusedError, UnavailableError
from apps.common.retry import Backoff
from apps.dredge import inputs, mcp_client, mcp_server, server, worker
from apps.dredge.settings import McpSettings, ServerSettings, WorkerSettings
from apps.dredge.texts import Found, Status, Task

FOUND = {"results": [{"id": "1-0", "score": 0.9, "text": "a cat"}]}


class Store:
    """Stands in for Redis. `down`: why it's unavailable."""

    def __init__(self) -> None:
        self.down = ""
        self.added: list[str] = []
        self.statuses: dict[str, Status] = {}
        self.cached_results: dict[str, bytes] = {}
        self.finished: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.found: list[Found] = []

    def check(self) -> None:
        if self.down:
            raise UnavailableError("redis", self.down)

    async def close(self) -> None: ...

    async def queued(self) -> int:
        self.check()
        return len(self.added)

    async def add(self, text: str) -> str:
        self.check()
        self.added.append(text)
        return f"{len(self.added)}-0"

    async def get(self, identifier: str) -> Status | None:
        self.check()
        return self.statuses.get(identifier)

    async def search_key(self, query: str, count: int) -> str:
        self.check()
        return f"{query} {count}"

    async def cached(self, key: str) -> bytes | None:
        return self.cached_results.get(key)

    async def cache(self, key: str, results: bytes, seconds: int) -> None:
        self.cached_results[key] = results

    async def finish(self, task: Task, vector: Sequence[float], device: str) -> None:
        self.check()
        self.finished.append((task.id, device))

    async def fail(self, task: Task, reason: str) -> None:
        self.failed.append((task.id, reason))

    async def find(self, vector: Sequence[float], count: int) -> list[Found]:
        self.check()
        return self.found[:count]


class Tools:
    """Stands in for the MCP server. `errors` are raised first, one a call."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def close(self) -> None: ...

    async def ping(self) -> None:
        if self.errors:
            raise self.errors[0]

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((tool, arguments))
        if self.errors:
            raise self.errors.pop(0)
        if tool == "search":
            return FOUND
        return {"vectors": [[1.0, 0.0]] * len(arguments["texts"]), "device": "cpu"}


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    for module in (server, worker, mcp_server):
        monkeypatch.setattr(module, "Texts", lambda _: store)
    return store


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    tools = Tools()
    for module in (server, worker):
        monkeypatch.setattr(module, "Tools", lambda _: tools)
    return tools


# -- the server


@pytest.fixture
def client(store: Store, tools: Tools) -> Iterator[TestClient]:
    with TestClient(server.application(ServerSettings())) as client:
        yield client


def test_a_text_is_accepted_and_its_status_reported(client: TestClient, store: Store) -> None:
    answer = client.post("/texts", json={"text": "Bees make honey."})
    assert (answer.status_code, answer.json()) == (202, {"id": "1-0", "status": "queued"})
    assert store.added == ["Bees make honey."]
    store.statuses["1-0"] = Status("1-0", "done", device="cpu")
    assert client.get("/texts/1-0").json() == {
        "id": "1-0",
        "status": "done",
        "device": "cpu",
        "reason": None,
    }
    assert client.get("/texts/2-0").status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no JSON", 400),
        (b"[]", 422),
        (b'{"text": 1}', 422),
        (b'{"text": "  "}', 422),
        (orjson.dumps({"text": "x" * (inputs.TEXT_MAX_CHARACTERS + 1)}), 422),
        (b" " * (inputs.BODY_LIMIT_BYTES + 1), 413),
    ],
)
def test_a_bad_text_is_rejected(client: TestClient, store: Store, body: bytes, status: int) -> None:
    assert client.post("/texts", content=body).status_code == status
    assert store.added == []


def test_the_longest_text_fits_however_it_is_encoded(client: TestClient) -> None:
    text = "\U0001f41d" * inputs.TEXT_MAX_CHARACTERS
    escaped = b'{"text": "' + b"\\ud83d\\udc1d" * inputs.TEXT_MAX_CHARACTERS + b'"}'
    assert client.post("/texts", content=escaped).status_code == 202
    assert client.post("/texts", content=orjson.dumps({"text": text})).status_code == 202


@pytest.mark.parametrize("query", ["", "q=", "q=%20", "q=a&k=0", "q=a&k=51", "q=a&k=x", "q=a&k=-1"])
def test_a_bad_search_is_rejected(client: TestClient, tools: Tools, query: str) -> None:
    assert client.get(f"/search?{query}").status_code == 422
    assert tools.calls == []


def test_an_id_of_another_form_is_not_found(client: TestClient) -> None:
    for identifier in ("x", "1", "1-0-0", "-", "1" * 21 + "-0"):
        assert client.get(f"/texts/{identifier}").status_code == 404


def test_a_search_is_cached_unless_that_is_disabled(store: Store, tools: Tools) -> None:
    with TestClient(server.application(ServerSettings())) as client:
        assert [client.get("/search?q=cat&k=3").json() for _ in range(2)] == [FOUND] * 2
    assert tools.calls == [("search", {"query": "cat", "count": 3})]
    with TestClient(server.application(ServerSettings(cache_enabled=False))) as client:
        assert client.get("/search?q=cat&k=3").json() == FOUND
    assert len(tools.calls) == 2


def test_what_is_unavailable_is_a_503(client: TestClient, store: Store, tools: Tools) -> None:
    tools.errors = [UnavailableError("mcp", "no answer"), RefusedError("no such tool")]
    for _ in range(2):
        answer = client.get("/search?q=cat")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert "mcp is unavailable" in answer.json()["error"]
    store.down = "no connection"
    assert client.post("/texts", json={"text": "x"}).status_code == 503
    assert client.get("/texts/1-0").status_code == 503


def test_the_server_is_healthy_with_redis(client: TestClient, store: Store, tools: Tools) -> None:
    assert client.get("/health").json()["dependencies"] == {"redis": "ok", "mcp": "ok"}
    tools.errors = [UnavailableError("mcp", "no answer")]
    assert client.get("/health").status_code == 200
    store.down = "no connection"
    assert client.get("/health").status_code == 503


# -- a worker


TASK = Task("1-0", "Bees make honey.", "")


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of a worker, in seconds, which take no time."""
    waits: list[float] = []

    def next_s(_: Backoff) -> float:
        waits.append(1)
        return 0

    monkeypatch.setattr(Backoff, "next_s", next_s)
    return waits


def embed(task: Task = TASK) -> None:
    asyncio.run(worker.Worker(WorkerSettings())._embed(task))


def test_a_text_is_embedded_and_stored(store: Store, tools: Tools) -> None:
    embed()
    assert tools.calls == [("embed", {"texts": ["Bees make honey."]})]
    assert store.finished == [("1-0", "cpu")]


def test_a_worker_waits_for_the_mcp_server_and_keeps_the_text(
    store: Store, tools: Tools, waits: list[float]
) -> None:
    tools.errors = [UnavailableError("mcp", "no answer") for _ in range(3)]
    embed()
    assert (store.finished, store.failed, len(waits)) == ([("1-0", "cpu")], [], 3)


def test_a_text_that_the_tool_rejects_has_failed(store: Store, tools: Tools) -> None:
    tools.errors = [RefusedError("too long")]
    embed()
    assert (store.finished, store.failed) == ([], [("1-0", "too long")])


def test_a_worker_survives_what_it_does_not_expect(
    store: Store, tools: Tools, waits: list[float]
) -> None:
    """The queue is created again after Redis was away, and an error of the program costs one wait."""
    events: list[str] = []

    async def prepare() -> None:
        events.append("prepare")

    outcomes: Iterator[Exception | Task] = iter(
        [UnavailableError("redis", "gone"), ValueError("a bug"), TASK]
    )

    async def take(_: float) -> Task | None:
        outcome = next(outcomes, None)
        if outcome is None:
            raise asyncio.CancelledError
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    store.prepare = prepare  # type: ignore[attr-defined]
    store.take = take  # type: ignore[attr-defined]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(worker.Worker(WorkerSettings())._consume())
    assert (events, store.finished, len(waits)) == (["prepare"] * 2, [("1-0", "cpu")], 2)


# -- the MCP server


class Inference:
    """Stands in for the model: a vector is the length of the text and 1."""

    device = "cpu"
    broken = False

    def __init__(self, _: object) -> None: ...

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield

    async def vectors(self, texts: Sequence[str]) -> list[Any]:
        if self.broken:
            raise UnavailableError("model", "it fails now")
        return [np.array([len(text), 1], dtype=np.float32) for text in texts]

    async def failure(self) -> str | None:
        return "it fails now" if self.broken else None


@pytest.fixture
def mcp(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(mcp_server, "Inference", Inference)
    with TestClient(mcp_server.application(McpSettings())) as client:
        yield client


def call(mcp: TestClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = mcp.post(
        "/mcp",
        json={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        },
        headers={
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2025-11-25",
        },
    )
    content: dict[str, Any] = answer.json()
    return content


def test_tools_compute_with_the_model_and_read_redis(mcp: TestClient, store: Store) -> None:
    result = call(mcp, "embed", texts=["ab", "abc"])["result"]
    assert result["structuredContent"] == {"vectors": [[2, 1], [3, 1]], "device": "cpu"}
    store.found = [Found("1-0", 0.9, "a cat"), Found("2-0", 0.1, "a dog")]
    result = call(mcp, "search", query="pets", count=1)["result"]
    assert result["structuredContent"] == {
        "results": [{"id": "1-0", "score": 0.9, "text": "a cat"}]
    }


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("embed", {"texts": []}),
        ("embed", {"texts": [""]}),
        ("embed", {"texts": ["x"] * (mcp_server.TEXTS_MAX + 1)}),
        ("search", {"query": "x", "count": 51}),
        ("no-such-tool", {}),
    ],
)
def test_bad_arguments_are_an_error_of_the_tool(
    mcp: TestClient, tool: str, arguments: dict[str, Any]
) -> None:
    answer = call(mcp, tool, **arguments)
    assert "error" in answer or answer["result"]["isError"]


def test_what_is_unavailable_is_an_error_of_the_protocol(
    mcp: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a client tells it from a rejected argument, and tries again."""
    store.down = "no connection"
    assert "redis is unavailable" in call(mcp, "search", query="x")["error"]["message"]
    monkeypatch.setattr(Inference, "broken", True)
    assert "model is unavailable" in call(mcp, "embed", texts=["x"])["error"]["message"]


def test_the_mcp_server_is_healthy_with_its_model(
    mcp: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.down = "no connection"
    assert mcp.get("/health").status_code == 200
    assert mcp.get("/health").json()["dependencies"]["redis"] != "ok"
    monkeypatch.setattr(Inference, "broken", True)
    assert mcp.get("/health").status_code == 503


def test_requests_of_the_protocol_are_counted(mcp: TestClient) -> None:
    assert mcp.post("/mcp", content=b"no JSON").status_code == 400
    call(mcp, "embed", texts=["x"])
    metrics = mcp.get("/metrics").text
    assert 'http_requests_total{route="mcp",status="400"}' in metrics
    assert 'http_requests_total{route="mcp",status="200"}' in metrics


# -- the client of the MCP server


def test_a_client_names_what_is_wrong() -> None:
    """Nothing listens on the port, and the error isn't that of a group of tasks."""

    async def call() -> None:
        tools = mcp_client.Tools("http://127.0.0.1:9")
        try:
            await tools.call("embed", {"texts": ["x"]})
        finally:
            await tools.close()

    with pytest.raises(UnavailableError, match="mcp is unavailable: ConnectError"):
        asyncio.run(call())


def test_the_cause_is_the_first_error_of_nested_groups() -> None:
    error = MCPError(-32603, "no")
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [error])])
    assert mcp_client._cause(nested) is error
    assert mcp_client._cause(error) is error
