"""project88 on real Docker: a document passes through every store, and outlives its worker."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest
from docker.errors import APIError
from websockets.sync.client import ClientConnection, connect

from strata.model import certificate, client_certificate
from tests.apps.pdf import pdf
from tests.docker import images, mutual_tls, observed
from tests.docker.conftest import containers, free_port, health, running
from tests.docker.network import reached
from tests.project import REPOSITORY, Project
from tests.wait import until

STACK = "pytest-project88"
PAGE = (
    "The tidal turbine in the Orkney strait delivers power at each turn of the tide.",
    "A tidal turbine is anchored to the seabed.",
)
# What each store has of a document, as the application's own account sees it.
STORES = """
import json, sys
from apps.common import settings
from apps.project88 import broker
from apps.project88.database import Database
from apps.project88.search import Search
from apps.project88.settings import WebSettings

settings = settings.load(WebSettings)
with Database(settings).connection() as connection:
    row = connection.execute(
        "SELECT status, attempts, length(content), text FROM documents WHERE id = %s", sys.argv[1:]
    ).fetchone()
redis = broker.Redis(settings)._client
search = Search(settings)._client
search.indices.refresh(index="documents")
found = search.get(index="documents", id=sys.argv[1], ignore=404)
print(json.dumps({
    "row": row,
    "unacknowledged": redis.hlen("unacked"),
    "cached": len(list(redis.scan_iter("searches:*:*"))),
    "indexed": found.get("_source"),
}))
"""
DELETE_INDEX = """
from apps.common import settings
from apps.project88.search import Search
from apps.project88.settings import WebSettings
Search(settings.load(WebSettings))._client.indices.delete(index="documents")
"""


@pytest.fixture(scope="module")
def project88(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system for development, up and healthy, behind Traefik."""
    # Not by the update, which has a time limit: the first time, they take minutes.
    images.ensure(engine, "traefik", "pgadmin", "project88", "mailpit")
    project = Project(
        tmp_path_factory.mktemp("project88") / "project",
        STACK,
        {
            "system": "project88",
            "profiles": ["development", "pgadmin"],
            "gateway": {"engine": "traefik"},
            "ports": {port: free_port() for port in ("http", "https", "dashboards", "logs")},
            "services": {
                "web": {"environment": {"SWEEP_INTERVAL_S": "1", "SWEEP_AFTER_S": "10"}},
                "worker": {"develop": True},
            },
        },
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def gateway(project88: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=project88.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


@contextmanager
def paused(container: Any) -> Iterator[None]:
    """The container does nothing, until the end."""

    def freezes() -> bool:
        # On a busy machine, the kernel may not freeze a process in time.
        with suppress(APIError):
            container.pause()
        container.reload()
        return bool(container.status == "paused")

    until(freezes, "it is paused")
    try:
        yield
    finally:
        container.unpause()


def post(gateway: httpx.Client, content: bytes, media_type: str = "application/pdf") -> str:
    headers = {"content-type": media_type}
    answer = gateway.post("/documents?name=tides", content=content, headers=headers)
    assert answer.status_code == 202, answer.text
    identifier: str = answer.json()["id"]
    return identifier


def events(gateway: httpx.Client, identifier: str) -> ClientConnection:
    return connect(f"ws://{gateway.base_url.netloc.decode()}/events/{identifier}")


def python(engine: Any, program: str, *arguments: str) -> str:
    """What a program prints that runs in the web application's container."""
    web = containers(engine, STACK)["web"]
    status, (output, errors) = web.exec_run(["python3", "-c", program, *arguments], demux=True)
    assert status == 0, errors
    text: str = (output or b"").decode()
    return text


def stores(engine: Any, identifier: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(python(engine, STORES, identifier).splitlines()[-1])
    return found


def attempts(worker: Any, identifier: str) -> list[int]:
    """The attempts to read a document that the worker has logged."""
    lines = [json.loads(line) for line in worker.logs().splitlines() if line.startswith(b"{")]
    return [
        line["attempt"]
        for line in lines
        if line["message"] == "reading" and line["id"] == identifier
    ]


def found(gateway: httpx.Client, query: str) -> list[str]:
    answer = gateway.get("/search", params={"q": query})
    assert answer.status_code == 200, answer.text
    return [result["id"] for result in answer.json()["results"]]


def test_a_document_passes_through_every_store(
    engine: Any, project88: Project, gateway: httpx.Client
) -> None:
    with ExitStack() as opened:
        with paused(containers(engine, STACK)["worker"]):
            identifier = post(gateway, pdf(*PAGE))
            socket = opened.enter_context(events(gateway, identifier))
            before = stores(engine, identifier)
            assert before["row"] == ["queued", 0, len(pdf(*PAGE)), None]
            assert before["indexed"] is None
            with pytest.raises(TimeoutError):
                socket.recv(timeout=1)
        message = json.loads(socket.recv(timeout=60))
    assert (message["id"], message["status"]) == (identifier, "done")
    assert "tidal turbine" in message["keywords"]

    assert found(gateway, "seabed") == [identifier]
    after = stores(engine, identifier)
    status, attempts, _, text = after["row"]
    assert (status, text.split()[:3]) == ("done", ["The", "tidal", "turbine"])
    # On a slow machine the sweep has queued it again, which is harmless.
    assert attempts >= 1
    assert after["indexed"] == {"name": "tides", "text": text, "keywords": message["keywords"]}
    assert after["cached"] == 1
    until(lambda: stores(engine, identifier)["unacknowledged"] == 0, "the task is acknowledged")

    def mails() -> list[str]:
        answer = gateway.get("/mail/api/v1/messages").json()
        return [one["Subject"] for one in answer["messages"]]

    until(lambda: f"Document {identifier} is done" in mails(), "the notice is caught")


def test_pgadmin_connects_to_the_database(
    engine: Any, project88: Project, gateway: httpx.Client
) -> None:
    pgadmin = containers(engine, STACK)["pgadmin"]
    assert health(pgadmin) == "healthy"
    password = pgadmin.exec_run(["cat", "/run/secrets/pgadmin-password"]).output.decode()
    with httpx.Client(base_url=gateway.base_url, timeout=30) as browser:

        def token(path: str, name: str) -> str:
            """The token against forged requests, as a page of pgAdmin has it."""
            found = re.search(rf"""{name}\W+([\w.-]+)""", browser.get(path).text)
            assert found
            return found[1]

        login = {"email": "strata@example.com", "password": password}
        login["csrf_token"] = token("/pgadmin/login", "csrfToken")
        browser.post("/pgadmin/authenticate/login", data=login)
        headers = {"x-pga-csrftoken": token("/pgadmin/browser/js/utils.js", "csrf_token'")}
        connected = browser.post("/pgadmin/browser/server/connect/2/1", headers=headers).json()
    assert connected["data"]["connected"], connected
    assert (connected["data"]["db"], connected["data"]["user"]["name"]) == ("strata", "strata")


def test_a_document_that_cannot_be_read_fails_with_the_reason(gateway: httpx.Client) -> None:
    with events(gateway, post(gateway, b"no PDF")) as socket:
        message = json.loads(socket.recv(timeout=60))
    assert (message["status"], message["reason"]) == ("failed", "the PDF is malformed")


def test_a_change_of_its_source_restarts_the_celery_worker(
    engine: Any, project88: Project, gateway: httpx.Client
) -> None:
    assert project88.settings["services"]["worker"]["develop"]
    worker = containers(engine, STACK)["worker"]

    def celery() -> set[str]:
        processes = worker.top()["Processes"]
        return {one[1] for one in processes if one[-1].startswith("python3 -m celery")}

    before = celery()
    # Its content stays.
    (REPOSITORY / "apps" / "project88" / "tasks.py").touch()
    until(lambda: (now := celery()) and not now & before, "Celery has been restarted")
    with events(gateway, post(gateway, b"Guillemots lay a single egg.", "text/plain")) as socket:
        assert json.loads(socket.recv(timeout=60))["status"] == "done"
    now = containers(engine, STACK)["worker"]
    assert (now.id, now.attrs["RestartCount"]) == (worker.id, worker.attrs["RestartCount"])


def test_a_document_outlives_its_worker(engine: Any, gateway: httpx.Client) -> None:
    services = containers(engine, STACK)
    worker = services["worker"]
    with paused(services["search"]):
        identifier = post(gateway, b"Puffins nest in burrows on the cliffs.", "text/plain")
        until(lambda: attempts(worker, identifier) == [1], "the worker has it")
        # The process, not the container: Docker restarts what dies, not what it was told to kill.
        os.kill(worker.attrs["State"]["Pid"], signal.SIGKILL)
        health = gateway.get("/health")
        assert health.json()["dependencies"]["opensearch"] != "ok"
    with events(gateway, identifier) as socket:
        assert json.loads(socket.recv(timeout=90))["status"] == "done"
    assert found(gateway, "puffins") == [identifier]
    assert attempts(worker, identifier)[:2] == [1, 2]


def test_the_index_is_built_again_from_the_database(engine: Any, gateway: httpx.Client) -> None:
    identifier = post(gateway, b"Gannets dive for herring.", "text/plain")
    with events(gateway, identifier) as socket:
        assert json.loads(socket.recv(timeout=60))["status"] == "done"
    python(engine, DELETE_INDEX)
    assert gateway.get("/search", params={"q": "herring"}).status_code == 503
    web = containers(engine, STACK)["web"]
    status, output = web.exec_run(["python3", "-m", "apps.project88.reindex"])
    assert (status, b"indexed again" in output) == (0, True)
    assert found(gateway, "herring") == [identifier]


def test_stores_accept_only_clients_with_a_certificate(engine: Any, project88: Project) -> None:
    stack = mutual_tls.secrets_of(project88)
    clients = {
        "a client's certificate": mutual_tls.context(stack, client_certificate("web")),
        "plaintext": None,
        "no certificate": mutual_tls.context(stack),
        "a server's certificate": mutual_tls.context(stack, certificate("redis", ("redis",))),
    }
    services = containers(engine, STACK)
    for server, port, protocol in (
        ("db", 5432, mutual_tls.POSTGRES),
        ("redis", 6379, mutual_tls.REDIS),
    ):
        address = mutual_tls.address_of(services[server], port)
        served = {
            client
            for client, context in clients.items()
            if mutual_tls.is_served((address, port), server, protocol, context)
        }
        assert served == {"a client's certificate"}, server


def test_every_pair_of_services(engine: Any, project88: Project) -> None:
    allowed = {
        (link["client"], link["server"], int(link["port"])) for link in project88.outputs()["links"]
    }
    assert ("worker", "mail", 1025) in allowed
    assert reached(containers(engine, STACK)) == allowed


def test_health_fails_without_a_store_that_it_needs(engine: Any, gateway: httpx.Client) -> None:
    assert gateway.get("/health").status_code == 200
    with paused(containers(engine, STACK)["redis"]):
        answer = gateway.get("/health")
        assert answer.status_code == 503
        assert answer.json()["dependencies"]["redis"] != "ok"
        assert answer.json()["dependencies"]["postgresql"] == "ok"


def test_its_engines_are_observed(engine: Any, project88: Project) -> None:
    services = containers(engine, STACK)
    metrics = observed.client(engine, project88)
    observed.check_targets(metrics, "db", "redis", "search", "gateway", "web")
    alerts = {
        ("PostgresDown", "db"),
        ("RedisDown", "redis"),
        ("OpensearchDown", "search"),
        ("UrlDown", "gateway"),
    }
    observed.check_alerts(metrics, [services[name] for _, name in alerts], alerts)
