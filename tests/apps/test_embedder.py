"""How the inference service's answers are read."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from apps.application.embedder import Embedder
from apps.application.settings import EmbedderSettings
from apps.common.errors import RefusedError, UnavailableError

GOOD = [0.0] * 383 + [1.0]


def ask(answer: httpx.Response | Exception) -> list[float]:
    def respond(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/embed"
        if isinstance(answer, Exception):
            raise answer
        return answer

    embedder = Embedder(EmbedderSettings(), httpx.MockTransport(respond))
    return asyncio.run(embedder.embed("a text"))


def test_a_vector() -> None:
    assert ask(httpx.Response(200, json={"vectors": [GOOD], "device": "cpu"})) == GOOD


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503),
        httpx.Response(500),
        httpx.Response(429),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut off"),
    ],
)
def test_what_may_come_back_is_unavailable(answer: httpx.Response | Exception) -> None:
    with pytest.raises(UnavailableError, match="inference is unavailable"):
        ask(answer)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(422),
        httpx.Response(200, content=b"not JSON"),
        httpx.Response(200, json={"vectors": []}),
        httpx.Response(200, json={"vectors": [GOOD, GOOD]}),
        httpx.Response(200, json={"vectors": [[1.0]]}),
        httpx.Response(200, json={"vectors": [["a"] * 384]}),
        httpx.Response(200, json=[]),
    ],
)
def test_what_is_wrong_is_refused(answer: httpx.Response) -> None:
    with pytest.raises(RefusedError):
        ask(answer)
