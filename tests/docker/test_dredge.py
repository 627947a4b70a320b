"""dredge on real Docker: a text passes through the queue, the MCP server and the store, and none is lost."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.docker import observed
from tests.docker.conftest import containers, free_port, running
from tests.docker.network import reached
from tests.docker.test_project88 import paused
from tests.project import Project
from tests.wait import until

STACK = "pytest-dredge"
CAT = "A cat sleeps on the warm windowsill."
# What Redis has, as the application's own account sees it.
STORED = """
import asyncio, json
from apps.common import settings
from apps.dredge import texts
from apps.dredge.settings import ServerSettings

async def main():
    redis = texts.Texts(settings.load(ServerSettings))._client
    pending = await redis.xpending(texts.QUEUE, texts.GROUP)
    vectors = await redis.vset().vcard(texts.VECTORS)
    print(json.dumps({
        "queued": await redis.xlen(texts.QUEUE),
        "taken": pending["pending"],
        "texts": sorted([key.decode() async for key in redis.scan_iter("text:*")]),
        "vectors": vectors,
        "dimensions": await redis.vset().vdim(texts.VECTORS) if vectors else 0,
        "searches": len([key async for key in redis.scan_iter("search:*")]),
    }))

asyncio.run(main())
"""
HEALTH = """
import urllib.error, urllib.request
try:
    print(urllib.request.urlopen("http://127.0.0.1:8000/health").status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def dredge(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system, up and healthy, without GPUs."""
    project = Project(
        tmp_path_factory.mktemp("dredge") / "project",
        STACK,
        {
            "system": "dredge",
            "gpu": {"mode": "off"},
            "ports": {port: free_port() for port in ("http", "https", "dashboards", "logs")},
            "services": {
                "redis": {"memoryMib": 128},
                # One, so that a test can stop it; it gives a killed one's text back soon.
                "worker": {"replicas": 1, "environment": {"CLAIM_AFTER_S": "5"}},
            },
        },
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def gateway(dredge: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dredge.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


def post(gateway: httpx.Client, text: str) -> str:
    answer = gateway.post("/texts", json={"text": text})
    assert answer.status_code == 202, answer.text
    identifier: str = answer.json()["id"]
    return identifier


def status(gateway: httpx.Client, identifier: str) -> str:
    """The status of a text, or the error of the API."""
    answer = gateway.get(f"/texts/{identifier}").json()
    return str(answer.get("status") or answer["error"])


def done(gateway: httpx.Client, identifier: str) -> None:
    until(lambda: status(gateway, identifier) == "done", f"{identifier} is done")


def found(gateway: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = gateway.get("/search", params={"q": query, "k": 5})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def stored(engine: Any) -> dict[str, Any]:
    server = containers(engine, STACK)["server"]
    code, (output, errors) = server.exec_run(["python3", "-c", STORED], demux=True)
    assert code == 0, errors
    content: dict[str, Any] = json.loads(output)
    return content


def kill(container: Any) -> None:
    """Kills the process, not the container: Docker restarts what dies, not what it was told to kill."""
    container.reload()
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)


def call(gateway: httpx.Client, method: str, **parameters: Any) -> dict[str, Any]:
    """The response of the MCP server, by the protocol as any client speaks it."""
    answer = gateway.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters},
        headers={
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2025-11-25",
        },
    )
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_a_text_passes_through_the_queue_and_is_found_by_meaning(
    engine: Any, gateway: httpx.Client
) -> None:
    with paused(containers(engine, STACK)["worker"]):
        identifier = post(gateway, CAT)
        assert status(gateway, identifier) == "queued"
        before = stored(engine)
        assert (before["queued"], before["vectors"], before["texts"]) == (1, 0, [])
    other = post(gateway, "Interest rates rose by a quarter of a percent.")
    for each in (identifier, other):
        done(gateway, each)
    assert gateway.get(f"/texts/{identifier}").json()["device"] == "cpu"

    # No word of the query is in the text.
    best, second = found(gateway, "kitten taking a nap")
    assert (best["id"], best["text"], second["id"]) == (identifier, CAT, other)
    assert best["score"] > 0.4 > 0.2 > second["score"]
    assert found(gateway, "kitten taking a nap") == [best, second]
    assert stored(engine) == {
        "queued": 0,
        "taken": 0,
        "texts": [f"text:{each}" for each in sorted((identifier, other))],
        "vectors": 2,
        "dimensions": 384,
        "searches": 1,
    }


def test_a_client_of_mcp_calls_tools_through_the_gateway(gateway: httpx.Client) -> None:
    server = call(
        gateway,
        "initialize",
        protocolVersion="2025-11-25",
        capabilities={},
        clientInfo={"name": "test", "version": "1"},
    )
    assert (server["protocolVersion"], server["serverInfo"]["name"]) == ("2025-11-25", "dredge")
    tools = call(gateway, "tools/list")["tools"]
    assert {tool["name"] for tool in tools} == {"embed", "search"}

    texts = [CAT, "A kitten naps in the sun.", "The parliament passed a budget."]
    embedded = call(gateway, "tools/call", name="embed", arguments={"texts": texts})
    cat, kitten, budget = embedded["structuredContent"]["vectors"]

    def cosine(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    assert cosine(cat, cat) == pytest.approx(1, abs=1e-4)
    assert cosine(cat, kitten) > 0.4 > cosine(cat, budget)

    arguments = {"query": "pets", "count": 1}
    result = call(gateway, "tools/call", name="search", arguments=arguments)
    (stored,) = result["structuredContent"]["results"]
    assert stored["text"] == CAT

    rejected = call(gateway, "tools/call", name="embed", arguments={"texts": []})
    assert rejected["isError"]
    assert gateway.post("/mcp", json={}, headers={"origin": "http://evil.test"}).status_code == 403


def test_what_was_accepted_outlives_redis(engine: Any, gateway: httpx.Client) -> None:
    services = containers(engine, STACK)
    with paused(services["worker"]):
        identifiers = [post(gateway, f"The tide table of day {day}.") for day in range(3)]
        kill(services["redis"])
        until(
            lambda: [status(gateway, each) for each in identifiers] == ["queued"] * 3,
            "Redis has the texts again",
        )
    for each in identifiers:
        done(gateway, each)
    assert {result["id"] for result in found(gateway, "tides of the sea")[:3]} == set(identifiers)


def test_a_text_outlives_its_worker(engine: Any, gateway: httpx.Client) -> None:
    services = containers(engine, STACK)
    with paused(services["mcp"]):
        identifier = post(gateway, "Puffins nest in burrows on the cliffs.")
        until(lambda: stored(engine)["taken"] == 1, "the worker has it")
        kill(services["worker"])
        assert status(gateway, identifier) == "queued"
    done(gateway, identifier)
    assert found(gateway, "birds that breed near the ocean")[0]["id"] == identifier


def test_its_engines_are_observed(engine: Any, dredge: Project) -> None:
    metrics = observed.client(engine, dredge)
    observed.check_targets(metrics, "redis", "gateway", "server", "worker", "mcp")


def test_every_pair_of_services(engine: Any, dredge: Project) -> None:
    allowed = {
        (link["client"], link["server"], int(link["port"])) for link in dredge.outputs()["links"]
    }
    assert ("gateway", "mcp", 3002) in allowed
    assert reached(containers(engine, STACK)) == allowed


def test_health_fails_without_redis(engine: Any, gateway: httpx.Client) -> None:
    services = containers(engine, STACK)
    # Both were restarted by other tests.
    until(lambda: gateway.get("/health").status_code == 200, "the server is healthy")
    with paused(services["mcp"]):
        answer = gateway.get("/health")
        assert (answer.status_code, answer.json()["dependencies"]["redis"]) == (200, "ok")
        assert answer.json()["dependencies"]["mcp"] != "ok"
    with paused(services["redis"]):
        answer = gateway.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "failed")
        # What its health check asks for.
        code, output = services["worker"].exec_run(["python3", "-c", HEALTH])
        assert (code, output.strip()) == (0, b"503"), output
