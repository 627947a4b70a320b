"""datapunk on real Docker, without Consul, which exists only as an image: a document passes through every
store, and outlives them."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from strata.model import Zone, certificate, client_certificate
from strata.model.secrets import DerivedSecrets
from strata.platforms.docker.names import ZONE
from strata.policies import checking
from tests.docker import mutual_tls, observed
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
# The port of each link between services that aren't there to observe, and how to speak to it.
PORTS = {
    ("nexus", 8443): mutual_tls.HTTP,
    ("cortex", 8443): mutual_tls.HTTP,
    ("postgres", 5432): mutual_tls.POSTGRES,
    ("redis", 6379): mutual_tls.REDIS,
    ("redis", 16379): mutual_tls.BUS,
    ("rabbitmq", 5672): mutual_tls.AMQP,
    ("rabbitmq", 15692): mutual_tls.METRICS,
}


@pytest.fixture(scope="module")
def datapunk(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system, up and healthy, on a small host."""
    project = Project(
        tmp_path_factory.mktemp("datapunk") / "project",
        STACK,
        {
            "system": "datapunk",
            "ports": {port: free_port() for port in ("http", "https", "dashboards", "logs")},
            "services": {**checking.SMALLER["datapunk"], "consul": {"enabled": False}},
        },
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def gateway(datapunk: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=datapunk.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def metrics(engine: Any, datapunk: Project) -> httpx.Client:
    return observed.client(engine, datapunk)


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


def read(datapunk: Project, engine: Any, service: str, port: int, path: str) -> str:
    """What a service answers to a client with a certificate."""
    context = mutual_tls.context(mutual_tls.secrets_of(datapunk), client_certificate("prometheus"))
    address = mutual_tls.address_of(containers(engine, STACK)[service], port)
    with httpx.Client(verify=context, timeout=30) as client:
        url = f"https://{address}:{port}{path}"
        return client.get(url, extensions={"sni_hostname": service}).text


def started_at(container: Any) -> float:
    """When a container was started, as `time.time()`."""
    text: str = container.attrs["State"]["StartedAt"]
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00").timestamp()


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
    engine: Any, gateway: httpx.Client, metrics: httpx.Client
) -> None:
    post(gateway, "puffins")
    post(gateway, "bread", "Yeast makes the dough rise before it is baked.")
    until(lambda: is_stored(gateway, "puffins") and is_stored(gateway, "bread"), "both are stored")
    assert found(gateway, "where do seabirds breed?") == "puffins"

    after = stores(engine, "puffins")
    assert after["row"] == ["stored", 384]
    # Two documents and one query were embedded; the query is in the Redis Cluster too.
    assert (after["vectors"], after["cached"], len(after["models"])) == (3, 1, 1)
    acknowledged = "sum by (service) (rabbitmq_global_messages_acknowledged_total)"
    until(
        lambda: observed.values(metrics, acknowledged) == {"rabbitmq": 2},
        "both messages are acknowledged",
    )


def test_a_text_is_embedded_once(engine: Any, datapunk: Project, gateway: httpx.Client) -> None:
    def hits() -> float:
        return count(
            read(datapunk, engine, "cortex", 8443, "/metrics"),
            r'vector_lookups_total\{result="hit"\}',
        )

    before = hits()
    post(gateway, "the-same")
    until(lambda: is_stored(gateway, "the-same"), "it is stored")
    assert hits() == before + 1


def test_a_search_does_not_need_the_cache(
    engine: Any, datapunk: Project, gateway: httpx.Client
) -> None:
    nodes = engine.containers.list(
        filters={"label": [f"strata.stack={STACK}", "strata.service=redis"]}
    )
    assert len(nodes) == 6
    with paused(*nodes):
        assert found(gateway, "baking") == "bread"
        health = json.loads(read(datapunk, engine, "cortex", 8443, "/health"))
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
    buses = {(client, "redis", 16379) for client in ("cortex", "redis-exporter")}
    assert reached(containers(engine, STACK)) == allowed | buses


def test_every_link_is_between_owners_of_certificates(engine: Any, datapunk: Project) -> None:
    services = containers(engine, STACK)
    links = {(link["server"], int(link["port"])) for link in datapunk.outputs()["links"]}
    assert links >= PORTS.keys()
    for server, _ in links - PORTS.keys():
        assert server == "gateway" or services[server].labels[ZONE] == Zone.MONITORING, server
    stack = mutual_tls.secrets_of(datapunk)
    other = DerivedSecrets(b"the seed of another stack", STACK, {})
    clients = {
        "a client's certificate": mutual_tls.context(stack, client_certificate("any")),
        "plaintext": None,
        "no certificate": mutual_tls.context(stack),
        "a server's certificate": mutual_tls.context(stack, certificate("any", ("any",))),
        "another authority": mutual_tls.context(stack, client_certificate("any"), other),
    }
    served = {
        (server, port, client)
        for (server, port), protocol in PORTS.items()
        for client, context in clients.items()
        if mutual_tls.is_served(
            (mutual_tls.address_of(services[server], port), port),
            server,
            protocol,
            context,
        )
    }
    assert served == {(server, port, "a client's certificate") for server, port in PORTS}


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


def test_its_engines_are_observed(metrics: httpx.Client) -> None:
    """Their alerts: tests/docker/test_redis_cluster.py and test_observability.py."""
    observed.check_targets(metrics, "postgres", "redis", "rabbitmq", "gateway", "nexus", "cortex")


def test_a_new_authority_replaces_the_old_one_while_requests_run(
    engine: Any, datapunk: Project, gateway: httpx.Client
) -> None:
    """Each service is replaced once, and those that are new and those that aren't yet trust each other."""
    until(lambda: is_stored(gateway, "puffins"), "it has recovered", seconds=120)
    before = containers(engine, STACK)
    answers: list[tuple[float, str]] = []
    is_over = Event()

    def request() -> None:
        with httpx.Client(base_url=gateway.base_url, timeout=10) as client:
            while not is_over.wait(0.1):
                try:
                    text = client.get("/documents/puffins").text
                except httpx.TransportError as error:
                    text = type(error).__name__
                answers.append((time.time(), text))

    requests = Thread(target=request)
    requests.start()
    try:
        datapunk.configure({**datapunk.settings, "secretGenerations": {"authority": 2}})
        up = datapunk.up()
        assert up.status == 0, up.output
        until(lambda: is_stored(gateway, "puffins"), "the document is there")
    finally:
        is_over.set()
        requests.join()
    after = containers(engine, STACK)
    replaced = {name for name in before if after[name].id != before[name].id}
    assert replaced >= {"gateway", *(server for server, _ in PORTS)}
    # The old cortex reads from the new PostgreSQL, each by its own authority.
    since = {name: started_at(after[name]) for name in ("postgres", "cortex", "nexus")}
    assert since["postgres"] < since["cortex"] < since["nexus"]
    assert any(
        since["postgres"] < moment < since["cortex"] and '"stored"' in text
        for moment, text in answers
    )
    failures = {text for _, text in answers if '"stored"' not in text}
    assert not re.search("certificate|ssl|tls", " ".join(failures), re.IGNORECASE), failures
    stack = mutual_tls.secrets_of(datapunk, authority=2)
    address = (mutual_tls.address_of(containers(engine, STACK)["cortex"], 8443), 8443)
    for generation, is_served in {1: True, 2: True, 4: False}.items():
        issuer = mutual_tls.secrets_of(datapunk, authority=generation)
        client = mutual_tls.context(stack, client_certificate("nexus"), issuer)
        assert mutual_tls.is_served(address, "cortex", mutual_tls.HTTP, client) is is_served, (
            generation
        )
