"""A trace goes from service to service, and log lines name it."""

from __future__ import annotations

import asyncio
import json
import logging
import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from apps.application.embedder import Embedder
from apps.application.settings import EmbedderSettings
from apps.common import logs, traces, web

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
