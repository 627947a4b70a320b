"""datapunk on real Docker, without Consul, which exists only as an image: a document passes through every
store, and outlives them."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from strata.policies import checking
from tests.docker.conftest import containers, free_port, running
from tests.docker.network import reached
from tests.project import Project
from tests.wait import until

STACK = "pytest-datapunk"
TEXT = "Puffins dig their nests into grassy cliffs above the sea."
# What each store has of a document, as cortex's own account sees it.
STORES = """
import asyncio, json, sqlite3, sys
from apps.api import cache
from apps.application import schema
from apps.common import redis_client, settings
from apps.common.database import Database
from apps.datapunk.settings import CortexSettings
from apps.datapunk.vectors import FILE

async def main(identifier):
    loaded = settings.load(CortexSettings)
    database = Database(loaded, schema.TABLE)
    await database.open()
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT status, vector_dims(embedding) FROM documents WHERE id = %s", [identifier]
        )
        row = await cursor.fetchone()
    await database.close()
    redis = redis_client.connect_cluster(loaded, 5)
    await redis.initialize()
    keys = [key async for key in redis.scan_iter(cache.PREFIX + "*")]
    await redis.aclose()
    vectors = sqlite3.connect(loaded.vector_cache / FILE).execute("SELECT count(*) FROM vectors")
    models = {file.name: file.stat().st_mtime_ns for file in loaded.model_cache.iterdir()}
    print(json.dumps({
        "row": row, "cached": len(keys), "vectors": vectors.fetchone()[0], "models": models
    }))

asyncio.run(main(sys.argv[1]))
"""
# What nexus gets of cortex without TLS, without a certificate, and with its own.
REQUESTS = """
import http.client, json, ssl

def status(connection):
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None

found = [status(http.client.HTTPConnection("cortex", 8443, timeout=10))]
context = ssl.create_default_context(cafile="/run/secrets/ca.pem")
found.append(status(http.client.HTTPSConnection("cortex", 8443, timeout=10, context=context)))
context.load_cert_chain("/run/secrets/certificate.pem", "/run/secrets/private-key.pem")
found.append(status(http.client.HTTPSConnection("cortex", 8443, timeout=10, context=context)))
print(json.dumps(found))
"""
READ = "exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"


@pytest.fixture(scope="module")
def datapunk(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system, up and healthy, on a small host."""
    project = Project(
        tmp_path_factory.mktemp("datapunk") / "project",
        STACK,
        {
            "system": "datapunk",
            "observability": {"enabled": False},
            "ports": {port: free_port() for port in ("http", "https")},
            "services": {**checking.SMALLER["datapunk"], "consul": {"enabled": False}},
        },
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def gateway(datapunk: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=datapunk.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


@contextmanager
def paused(*paused: Any) -> Iterator[None]:
    """The containers do nothing, until the end."""
    with ExitStack() as resumed:
        for container in paused:
            container.pause()
            resumed.callback(container.unpause)
        yield


def stores(engine: Any, identifier: str) -> dict[str, Any]:
    cortex = containers(engine, STACK)["cortex"]
    status, (output, errors) = cortex.exec_run(["python3", "-c", STORES, identifier], demux=True)
    assert status == 0, errors
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def read(engine: Any, service: str, port: int, path: str) -> str:
    """What a port answers on the loopback interface of a container."""
    command = ["bash", "-c", READ.format(port=port, path=path)]
    text: str = containers(engine, STACK)[service].exec_run(command).output.decode()
    return text


def count(metrics: str, name: str) -> float:
    """The sum of a metric's samples. `name`: a pattern of the name and labels."""
    return sum(float(value) for value in re.findall(rf"^{name} (\S+)$", metrics, re.MULTILINE))


def post(gateway: httpx.Client, identifier: str, text: str = TEXT) -> None:
    answer = gateway.post("/documents", json={"id": identifier, "text": text})
    assert answer.status_code == 202, answer.text


def is_stored(gateway: httpx.Client, identifier: str) -> bool:
    answer = gateway.get(f"/documents/{identifier}")
    return answer.status_code == 200 and answer.json()["status"] == "stored"


def found(gateway: httpx.Client, query: str) -> str:
    """The document that is nearest in meaning."""
    answer = gateway.get("/search", params={"q": query, "k": 1})
    assert answer.status_code == 200, answer.text
    identifier: str = answer.json()["results"][0]["id"]
    return identifier


def test_a_document_passes_through_every_store_and_is_found_by_meaning(
    engine: Any, gateway: httpx.Client
) -> None:
    post(gateway, "puffins")
    post(gateway, "bread", "Yeast makes the dough rise before it is baked.")
    until(lambda: is_stored(gateway, "puffins") and is_stored(gateway, "bread"), "both are stored")
    assert found(gateway, "where do seabirds breed?") == "puffins"

    after = stores(engine, "puffins")
    assert after["row"] == ["stored", 384]
    # Two documents and one query were embedded; the query is in the Redis Cluster too.
    assert (after["vectors"], after["cached"], len(after["models"])) == (3, 1, 1)
    broker = read(engine, "rabbitmq", 15692, "/metrics")
    assert count(broker, r"rabbitmq_global_messages_acknowledged_total\{.*") == 2


def test_a_text_is_embedded_once(engine: Any, gateway: httpx.Client) -> None:
    def hits() -> float:
        return count(
            read(engine, "cortex", 8000, "/metrics"), r'vector_lookups_total\{result="hit"\}'
        )

    before = hits()
    post(gateway, "the-same")
    until(lambda: is_stored(gateway, "the-same"), "it is stored")
    assert hits() == before + 1


def test_a_search_does_not_need_the_cache(engine: Any, gateway: httpx.Client) -> None:
    nodes = engine.containers.list(
        filters={"label": [f"strata.stack={STACK}", "strata.service=redis"]}
    )
    assert len(nodes) == 6
    with paused(*nodes):
        assert found(gateway, "baking") == "bread"
        health = json.loads(read(engine, "cortex", 8000, "/health").splitlines()[-1])
    assert health["status"] == "ok"
    assert health["dependencies"]["redis"] != "ok"


def test_every_pair_of_services(engine: Any, datapunk: Project) -> None:
    allowed = {
        (link["client"], link["server"], int(link["port"]))
        for link in datapunk.outputs()["links"]
        if link["client"] != link["server"]
    }
    assert ("nexus", "cortex", 8443) in allowed
    # Redis binds the bus of the cluster to the same addresses as the port for clients.
    assert reached(containers(engine, STACK)) == {*allowed, ("cortex", "redis", 16379)}


def test_cortex_serves_only_clients_with_a_certificate(engine: Any, datapunk: Project) -> None:
    nexus = containers(engine, datapunk.stack)["nexus"]
    assert json.loads(nexus.exec_run(["python3", "-c", REQUESTS]).output) == [None, None, 200]


def test_documents_outlive_a_crash_of_everything_that_has_them(
    engine: Any, gateway: httpx.Client
) -> None:
    models = stores(engine, "puffins")["models"]
    services = containers(engine, STACK)
    crashing = [services[name] for name in ("cortex", "rabbitmq", "postgres")]
    posted = [f"gannets-{number}" for number in range(20)]
    for identifier in posted:
        post(gateway, identifier, f"Gannet {identifier} dives for herring.")
    for container in crashing:
        # The process, not the container: Docker restarts what dies, not what it was told to kill.
        os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
    until(lambda: all(is_stored(gateway, each) for each in posted), "all are stored", seconds=180)
    assert found(gateway, "diving for herring") in posted
    assert is_stored(gateway, "puffins")
    assert stores(engine, "puffins")["models"] == models, "it loads the model that it optimized"


def test_health_fails_without_a_store_that_it_needs(engine: Any, gateway: httpx.Client) -> None:
    def healthy() -> bool:
        return gateway.get("/health").status_code == 200

    until(healthy, "it has recovered", seconds=120)
    dependencies = gateway.get("/health").json()["dependencies"]
    assert dependencies["cortex"] == "ok"
    assert "by DNS" in dependencies["consul"]
    with paused(containers(engine, STACK)["rabbitmq"]):
        assert not healthy()
    until(healthy, "it has recovered")
