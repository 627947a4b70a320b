"""A trace goes from service to service, and log lines name it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from apps.application.embedder import Embedder
from apps.application.settings import EmbedderSettings
from apps.common import logs, spans, traces, web
from apps.inference.batcher import Batcher, Tokens

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADER = f"00-{TRACE}-b7ad6b7169203331-01"


def taken(header: object) -> str:
    """The id of the trace that a task belongs to after it took the header."""

    async def task() -> str:
        traces.take(header)
        return traces.trace_id()

    return asyncio.run(task())


def test_the_trace_of_a_header_goes_on() -> None:
    assert taken(HEADER) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        b"bytes",
        HEADER + "-more",
        HEADER.upper(),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
)
def test_without_a_valid_header_a_trace_begins(header: object) -> None:
    first, second = taken(header), taken(header)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert len({first, second, TRACE}) == 3


def test_outside_a_request_there_is_no_trace() -> None:
    assert (traces.trace_id(), traces.headers()) == ("", {})
    assert "trace_id" not in json.loads(logs.JsonLines("api").format(logging.makeLogRecord({})))


def test_a_service_passes_the_trace_on_and_logs_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logs.JsonLines("api"))
    passed: list[httpx.Headers] = []

    def inference(request: httpx.Request) -> httpx.Response:
        passed.append(request.headers)
        return httpx.Response(503)

    async def embed(_: Request) -> Response:
        embedder = Embedder(EmbedderSettings(), httpx.MockTransport(inference))
        logging.getLogger("apps").error("asked")
        await embedder.embed("a text")
        raise AssertionError

    app = Starlette(routes=[Route("/", web.route("embed", embed))])
    assert TestClient(app).get("/", headers={"traceparent": HEADER}).status_code == 503
    assert passed[0]["traceparent"] == HEADER
    assert json.loads(caplog.text)["trace_id"] == TRACE


def test_the_line_of_an_unexpected_error_names_the_trace() -> None:
    """The web server logs it, outside the handler."""

    async def broken(_: Request) -> Response:
        raise ZeroDivisionError

    async def serve() -> str:
        request = Request(
            {"type": "http", "method": "GET", "headers": [(b"traceparent", HEADER.encode())]}
        )
        with pytest.raises(ZeroDivisionError):
            await web.route("broken", broken)(request)
        return traces.trace_id()

    assert asyncio.run(serve()) == TRACE


# -- spans


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    """Records in memory."""
    exporter = InMemorySpanExporter()
    traces.record_with(spans.Recorder("test", SimpleSpanProcessor(exporter)))
    yield exporter
    traces.record_with(None)


def ids(span: ReadableSpan) -> tuple[str, str]:
    """The id of its trace, and its own."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def test_one_document_is_one_trace(recorded: InMemorySpanExporter) -> None:
    """From the request with the gateway's header, over the message, to the inference service."""

    async def model(texts: list[Tokens]) -> list[int]:
        return [len(text) for text in texts]

    batcher = Batcher(model, batch_max=8, wait_s=0, queue_max=8, padding_max=0.5)

    async def embed(_: Request) -> Response:
        await batcher.submit([[1], [2]])
        return web.answer({"vectors": [[0.0] * 383 + [1.0]], "device": "cpu"})

    inference = Starlette(routes=[Route("/embed", web.route("embed", embed), methods=["POST"])])
    embedder = Embedder(EmbedderSettings(), httpx.ASGITransport(inference))
    messages: list[str] = []

    async def post(_: Request) -> Response:
        with traces.span("publish", "producer"):
            messages.append(traces.headers()["traceparent"])
        return web.answer({}, 202)

    async def worker() -> None:
        traces.take(messages.pop())
        with traces.span("process", "consumer"):
            await embedder.embed("a text")

    async def go() -> None:
        working = asyncio.create_task(batcher.work())
        transport = httpx.ASGITransport(Starlette(routes=[Route("/", web.route("post", post))]))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            await client.get("/", headers={"traceparent": HEADER})
        await asyncio.create_task(worker())
        working.cancel()

    asyncio.run(go())
    found = {span.name: span for span in recorded.get_finished_spans()}
    assert {ids(span)[0] for span in found.values()} == {TRACE}
    chain = ["post", "publish", "process", "inference", "embed", "model"]
    assert sorted(found) == sorted(chain)
    parents = [found[name].parent for name in chain]
    assert [f"{parent.span_id:016x}" for parent in parents if parent] == [
        HEADER.split("-")[2],
        *(ids(found[name])[1] for name in chain[:-1]),
    ]
    assert dict(found["model"].attributes or {}) == {"texts": 2}
    assert dict(found["post"].attributes or {}) == {"http.response.status_code": 202}


def test_a_request_without_a_header_starts_a_trace(recorded: InMemorySpanExporter) -> None:
    async def go() -> str:
        async def nothing(_: Request) -> Response:
            return web.answer({})

        await web.route("nothing", nothing)(
            Request({"type": "http", "method": "GET", "headers": []})
        )
        return traces.trace_id()

    trace_id = asyncio.run(go())
    (span,) = recorded.get_finished_spans()
    assert span.parent is None
    assert ids(span)[0] == trace_id


def test_health_checks_and_other_work_outside_a_trace_are_not_recorded(
    recorded: InMemorySpanExporter,
) -> None:
    with traces.span("postgresql", "client"):
        assert traces.headers() == {}
    assert not recorded.get_finished_spans()


def test_a_failure_is_marked_and_quotes_nothing(recorded: InMemorySpanExporter) -> None:
    async def go() -> None:
        traces.take(HEADER)
        with pytest.raises(ValueError, match="private"), traces.span("postgresql", "client"):
            raise ValueError("a private text")

    asyncio.run(go())
    (span,) = recorded.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert "private" not in span.to_json()


def test_an_endpoint_that_does_not_answer_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://jaeger.invalid:4318")
    started_at = time.monotonic()
    traces.configure("api")
    try:
        for _ in range(100):
            with traces.span("post", "server"):
                pass
        assert time.monotonic() - started_at < 1
        traces.stop()
        assert time.monotonic() - started_at < 1 + spans.STOP_WITHIN_S
    finally:
        traces.record_with(None)


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported() -> None:
    program = (
        "import sys; from apps.common import serve, traces; traces.configure('api');"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
