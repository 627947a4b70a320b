"""nexus finds cortex, through Consul or DNS, and cortex keeps what it computed."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from apps.api.cache import Cache
from apps.application.schema import DIMENSIONS
from apps.application.settings import CacheSettings
from apps.common import redis_client
from apps.common.errors import UnavailableError
from apps.datapunk import consul, cortex, nexus
from apps.datapunk.consul import Consul, Instance, advertised
from apps.datapunk.nexus import Directory
from apps.datapunk.settings import ConsulSettings, NexusSettings
from apps.datapunk.vectors import FILE, Vectors
from tests.apps.consul_fake import FakeConsul

TOKEN = "3b0f9d3c-6a0f-4a55-8d6e-0f6f1f0f4b1e"
CORTEX = Instance("10.0.0.7", 8000)
VECTOR = [0.5] * DIMENSIONS


@pytest.fixture
def fake() -> FakeConsul:
    return FakeConsul({TOKEN})


@pytest.fixture
def settings(tmp_path: Path) -> ConsulSettings:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return ConsulSettings(consul_host="consul", consul_password_file=tmp_path / "token")


@pytest.fixture
def client(fake: FakeConsul, settings: ConsulSettings) -> Consul:
    return Consul(settings, fake.transport())


async def healthy() -> bool:
    return True


def registered(
    client: Consul, *steps: Callable[[], Awaitable[None]], is_healthy: Any = healthy
) -> None:
    """Runs steps while an instance of cortex is kept registered."""

    async def run() -> None:
        task = asyncio.create_task(client.stay_registered("cortex", CORTEX, is_healthy))
        try:
            for step in steps:
                await step()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consul, "HEARTBEAT_S", 0.01)


def test_a_service_is_found_once_it_is_registered_and_healthy(
    client: Consul, fake: FakeConsul
) -> None:
    async def found() -> None:
        async def is_found() -> bool:
            return await client.instances("cortex") == [CORTEX]

        await until(is_found)
        assert await client.instances("nexus") == []

    registered(client, found)
    assert fake.services == {}, "it deregisters when it stops"


def test_a_service_that_is_unhealthy_or_silent_is_not_found(
    client: Consul, fake: FakeConsul
) -> None:
    well = True

    async def is_healthy() -> bool:
        return well

    async def found() -> bool:
        return await client.instances("cortex") == [CORTEX]

    async def not_found() -> bool:
        return await client.instances("cortex") == []

    async def ails() -> None:
        nonlocal well
        await until(found)
        well = False
        await until(not_found)
        well = True
        await until(found)

    registered(client, ails, is_healthy=is_healthy)
    # A killed process deregisters nothing: its heartbeats end.
    fake.handle(
        httpx.Request(
            "PUT",
            "http://consul/v1/agent/service/register",
            headers={"X-Consul-Token": TOKEN},
            json={"Name": "cortex", "ID": "a", "Address": "10.0.0.7", "Port": 8000, "Check": CHECK},
        )
    )
    assert asyncio.run(client.instances("cortex")) == [], "critical until the first heartbeat"
    fake.passed_at["a"] = fake.now
    assert asyncio.run(client.instances("cortex")) == [CORTEX]
    fake.now += consul.TTL_S + 1
    assert asyncio.run(client.instances("cortex")) == []


CHECK = {"TTL": f"{consul.TTL_S}s"}


def test_a_service_registers_again_with_a_consul_that_lost_everything(
    client: Consul, fake: FakeConsul
) -> None:
    async def is_registered() -> bool:
        return bool(fake.healthy("cortex"))

    async def loses() -> None:
        await until(is_registered)
        fake.available = False
        fake.restart()
        seen = len(fake.requests)

        async def is_tried() -> bool:
            return len(fake.requests) > seen + 1

        await until(is_tried)
        fake.available = True
        await until(is_registered)

    registered(client, loses)


def test_a_rotated_token_counts_from_the_next_request_on(
    client: Consul, fake: FakeConsul, settings: ConsulSettings
) -> None:
    fake.tokens = {"another"}
    with pytest.raises(UnavailableError, match="403"):
        asyncio.run(client.ping())
    settings.consul_password_file.write_text("another")
    assert asyncio.run(Consul(settings, fake.transport()).instances("cortex")) == []


@pytest.mark.parametrize("content", [b"no JSON", b"[{}]", b'[{"Service": {"Address": "a"}}]'])
def test_an_answer_that_is_no_list_of_instances_is_unavailable(
    settings: ConsulSettings, content: bytes
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
    with pytest.raises(UnavailableError, match="isn't a list of instances"):
        asyncio.run(Consul(settings, transport).instances("cortex"))


def test_an_instance_advertises_the_address_that_it_listens_on() -> None:
    assert advertised("127.0.0.1,10.0.0.7", 8000, ("consul", 8500)) == CORTEX
    # On every address: the one that leads to Consul.
    everywhere = "0.0.0.0"
    assert advertised(everywhere, 8000, ("127.0.0.1", 8500)) == Instance("127.0.0.1", 8000)
    with pytest.raises(socket.gaierror):
        advertised(everywhere, 8000, ("no-such-host.invalid", 8500))


def test_cortex_is_looked_up_by_consul_and_last_by_dns(client: Consul, fake: FakeConsul) -> None:
    async def urls(directory: Directory) -> list[str]:
        return await directory.urls()

    for identifier, address in (("a", "10.0.0.7"), ("b", "10.0.0.8")):
        fake.services[identifier] = {
            "Name": "cortex",
            "ID": identifier,
            "Address": address,
            "Port": 8000,
            "Check": CHECK,
        }
        fake.passed_at[identifier] = fake.now
    found = asyncio.run(Directory("http://cortex:8000", client).urls())
    assert sorted(found[:2]) == ["http://10.0.0.7:8000", "http://10.0.0.8:8000"]
    assert found[2:] == ["http://cortex:8000"]


def test_a_lookup_is_used_for_a_while(client: Consul, fake: FakeConsul) -> None:
    directory = Directory("http://cortex:8000", client)

    async def twice() -> None:
        await directory.urls()
        await directory.urls()

    asyncio.run(twice())
    assert fake.requests == [("GET", "/v1/health/service/cortex")]


def test_without_consul_cortex_is_looked_up_by_dns(client: Consul, fake: FakeConsul) -> None:
    assert asyncio.run(Directory("http://cortex:8000", None).urls()) == ["http://cortex:8000"]
    fake.available = False
    assert asyncio.run(Directory("http://cortex:8000", client).urls()) == ["http://cortex:8000"]


class Cortex:
    """Answers like cortex at the hosts that are up. `seen`: the requests that arrived."""

    def __init__(self, *up: str) -> None:
        self.up = up
        self.status = 200
        self.seen: list[tuple[str, str, bytes]] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.host not in self.up:
            raise httpx.ConnectError("connection refused")
        path = request.url.raw_path.decode()
        self.seen.append((request.method, path, request.content))
        headers = {"Retry-After": "2"} if self.status == 503 else {}
        return httpx.Response(self.status, json={"from": request.url.host}, headers=headers)


def gateway(behind: Cortex) -> TestClient:
    return TestClient(nexus.application(NexusSettings(), httpx.MockTransport(behind.handle)))


def test_requests_are_checked_and_forwarded() -> None:
    behind = Cortex("cortex")
    with gateway(behind) as client:
        document = b'{"id": "a", "text": "tea & milk"}'
        assert client.post("/documents", content=document).json() == {"from": "cortex"}
        assert client.get("/documents/a").status_code == 200
        assert client.get("/search", params={"q": "tea & milk", "k": 2}).status_code == 200
    assert behind.seen == [
        ("POST", "/documents", document),
        ("GET", "/documents/a", b""),
        ("GET", "/search?q=tea+%26+milk&k=2", b""),
    ]


def test_a_wrong_request_does_not_reach_cortex() -> None:
    behind = Cortex("cortex")
    with gateway(behind) as client:
        assert client.post("/documents", content=b"{").status_code == 400
        assert client.post("/documents", json={"id": "a"}).status_code == 422
        assert client.get("/documents/a b").status_code == 422
        assert client.get("/search").status_code == 422
    assert behind.seen == []


def test_what_cortex_answers_is_passed_on() -> None:
    behind = Cortex("cortex")
    behind.status = 503
    with gateway(behind) as client:
        answer = client.get("/documents/a")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert client.get("/health").status_code == 503


def test_without_cortex_nexus_is_unhealthy_and_says_why() -> None:
    with gateway(Cortex()) as client:
        assert client.get("/search?q=tea").status_code == 503
        health = client.get("/health")
    assert health.status_code == 503
    assert "connection refused" in health.json()["dependencies"]["cortex"]


def test_a_stack_without_consul_is_healthy_and_says_so() -> None:
    with gateway(Cortex("cortex")) as client:
        health = client.get("/health")
    assert health.status_code == 200
    assert "by DNS" in health.json()["dependencies"]["consul"]


def test_an_instance_that_does_not_connect_is_passed_over(client: Consul, fake: FakeConsul) -> None:
    fake.services["gone"] = {
        "Name": "cortex",
        "ID": "gone",
        "Address": "10.0.0.7",
        "Port": 8000,
        "Check": CHECK,
    }
    fake.passed_at["gone"] = fake.now
    behind = Cortex("cortex")
    forwards = nexus.Nexus(
        NexusSettings(),
        Directory("http://cortex:8000", client),
        httpx.MockTransport(behind.handle),
    )
    asyncio.run(forwards.ping())
    assert behind.seen == [("GET", "/health", b"")]


def test_a_request_that_cortex_may_have_seen_is_not_sent_again() -> None:
    sent = 0

    def cut_off(_: httpx.Request) -> httpx.Response:
        nonlocal sent
        sent += 1
        raise httpx.RemoteProtocolError("cut off")

    forwards = nexus.Nexus(
        NexusSettings(),
        Directory("http://cortex:8000", None),
        httpx.MockTransport(cut_off),
    )
    with pytest.raises(UnavailableError, match="cut off"):
        asyncio.run(forwards.ping())
    assert sent == 1


@pytest.fixture
def vectors(tmp_path: Path) -> Vectors:
    return Vectors(tmp_path, 2)


def test_an_embedding_is_kept_across_restarts_and_the_oldest_goes(tmp_path: Path) -> None:
    async def fill(vectors: Vectors) -> None:
        for text in ("a", "b", "c"):
            await vectors.put(text, VECTOR)

    vectors = Vectors(tmp_path, 2)
    asyncio.run(fill(vectors))
    vectors.close()
    vectors = Vectors(tmp_path, 2)
    assert asyncio.run(vectors.get("a")) is None
    assert asyncio.run(vectors.get("b")) == asyncio.run(vectors.get("c")) == VECTOR


def test_a_corrupt_cache_starts_empty(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    vectors = Vectors(tmp_path, 2)
    assert asyncio.run(vectors.get("a")) is None
    asyncio.run(vectors.put("a", VECTOR))
    assert asyncio.run(vectors.get("a")) == VECTOR


def test_a_cache_that_fails_is_a_miss(vectors: Vectors) -> None:
    vectors._connection.execute("DROP TABLE vectors")
    asyncio.run(vectors.put("a", VECTOR))
    assert asyncio.run(vectors.get("a")) is None
    with pytest.raises(sqlite3.OperationalError):
        vectors._get(b"key")


class Model:
    """Computes, or raises what it is given."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.texts: list[str] = []

    async def vectors(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        if self.error:
            raise self.error
        return [VECTOR for _ in texts]


def embedder(model: Any, vectors: Vectors) -> cortex.Embedder:
    return cortex.Embedder(model, vectors)


def test_a_text_is_computed_once(vectors: Vectors) -> None:
    model = Model()
    embed = embedder(model, vectors).embed
    assert asyncio.run(embed("tea")) == asyncio.run(embed("tea")) == VECTOR
    assert model.texts == ["tea"]


def test_a_model_that_fails_leaves_nothing_in_the_cache(vectors: Vectors) -> None:
    embed = embedder(Model(UnavailableError("model", "it fails now")), vectors).embed
    with pytest.raises(UnavailableError, match="model is unavailable"):
        asyncio.run(embed("tea"))
    assert asyncio.run(vectors.get("tea")) is None


def test_a_cluster_that_is_away_is_a_miss_and_is_reported(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("password")
    settings = CacheSettings(
        redis_host="no-such-host.invalid", redis_password_file=tmp_path / "password"
    )

    async def run() -> None:
        cache = Cache(redis_client.connect_cluster(settings, 0.2), 60, 1)
        with pytest.raises(UnavailableError, match="redis is unavailable"):
            await cache.ping()
        await cache.put("tea", VECTOR)
        assert await cache.get("tea") is None
        await cache.close()

    asyncio.run(run())
