"""The system node_intelligence: a request through the gateway touches each of its stores."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from threading import Thread
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from strata.images.choose import choose
from strata.images.source import resolve
from tests.docker.conftest import containers, free_port, running
from tests.docker.network import reached
from tests.project import REPOSITORY, Project
from tests.wait import until

STACK = "node"
API = REPOSITORY / "apps" / "node_intelligence_api"
VALUES = [10.0, 12.0, 14.0, 16.0, 500.0, 20.0, 22.0]


@pytest.fixture(scope="module")
def stack(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(
        tmp_path_factory.mktemp("node") / "project",
        STACK,
        {
            "system": "node_intelligence",
            "ports": {port: free_port() for port in ("http", "https", "dashboards", "logs")},
            "network": {"range": "172.28.0.0/16"},
            "services": {"api": {"debugPort": free_port()}},
        },
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def services(engine: Any, stack: Project) -> dict[str, Any]:
    assert stack.stack == STACK
    return containers(engine, STACK)


@pytest.fixture(scope="module")
def gateway(stack: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


def inside(container: Any, *command: str) -> str:
    status, output = container.exec_run(list(command))
    assert status == 0, output
    return str(output.decode().strip())


def cached(services: dict[str, Any], series: str) -> Any:
    """The insight in Redis, or None."""
    script = f"REDISCLI_AUTH=$(</run/secrets/password) redis-cli --user admin get insight:{series}"
    return json.loads(inside(services["redis"], "bash", "-c", script) or "null")


def post(gateway: httpx.Client, series: str, value: float) -> Any:
    answer = gateway.post("/events", json={"series": series, "value": value})
    assert answer.status_code == 201, answer.text
    return answer.json()


def insight(gateway: httpx.Client, series: str) -> Any:
    answer = gateway.get("/insights", params={"series": series})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_request_touches_every_store(gateway: httpx.Client, services: dict[str, Any]) -> None:
    for hour, value in enumerate(VALUES):
        event = {"series": "latency", "value": value, "at": f"2026-01-01T{hour:02}:00:00Z"}
        assert gateway.post("/events", json=event).status_code == 201
    count = "SELECT count(*), sum(value) FROM public.events WHERE series = 'latency'"
    stored = inside(services["postgres"], "psql", "--dbname=strata", "-Atc", count)
    assert stored == f"{len(VALUES)}|{sum(VALUES):g}"

    computed = insight(gateway, "latency")
    assert (computed["events"], computed["median"], computed["trend_per_hour"]) == (7, 16, 2)
    assert [anomaly["value"] for anomaly in computed["anomalies"]] == [500]
    assert not computed["cached"]
    assert {**cached(services, "latency"), "cached": False} == computed
    assert insight(gateway, "latency") == {**computed, "cached": True}

    post(gateway, "latency", 24)
    assert cached(services, "latency") is None
    assert insight(gateway, "latency")["events"] == len(VALUES) + 1


def test_a_bad_request_gets_a_reason(gateway: httpx.Client) -> None:
    for method, path, content, status in (
        ("POST", "/events", b"{", 400),
        ("POST", "/events", b'{"series": "x"}', 422),
        ("GET", "/insights", b"", 422),
        ("GET", "/insights?series=nobody", b"", 404),
        ("GET", "/metrics", b"", 404),
        ("DELETE", "/events", b"", 405),
    ):
        headers = {"content-type": "application/json"} if content else {}
        answer = gateway.request(method, path, content=content, headers=headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), path


def test_every_pair_of_services(stack: Project, services: dict[str, Any]) -> None:
    allowed = {
        (link["client"], link["server"], int(link["port"])) for link in stack.outputs()["links"]
    }
    assert reached(services) == allowed


@pytest.mark.parametrize("name", ["api", "intelligence"])
def test_hardened(services: dict[str, Any], name: str) -> None:
    """The code can't be changed by the service that runs it."""
    assert inside(services[name], "id", "-u") == "1001"
    folder = {"api": "/opt/api/src", "intelligence": "/opt/strata/apps"}[name]
    status, output = services[name].exec_run(["touch", f"{folder}/written"])
    assert (status, b"Read-only file system" in output) == (1, True)


def test_postgresql_accepts_no_plaintext(services: dict[str, Any]) -> None:
    program = """
        import pg from "pg";
        import { readFileSync } from "node:fs";
        const { DATABASE_HOST: host, DATABASE_USER: user, DATABASE_NAME: database } = process.env;
        const password = readFileSync(process.env.DATABASE_PASSWORD_FILE, "utf8");
        const client = new pg.Client({ host, user, database, password });
        try { await client.connect(); console.log("connected"); } catch (error) { console.log(error.message); }
        process.exit();
    """
    said = inside(services["api"], "node", "--input-type=module", "--eval", program)
    assert "no pg_hba.conf entry" in said or "pg_hba.conf rejects connection" in said
    encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'strata'"
    assert inside(services["postgres"], "psql", "--dbname=strata", "-Atc", encrypted) == "t"


def test_log_lines_name_the_trace_of_a_request(
    gateway: httpx.Client, services: dict[str, Any]
) -> None:
    """The gateway starts it."""
    stored = post(gateway, "traced", 1)

    def logged() -> Any:
        lines = services["api"].logs(stderr=False, tail=20).decode().splitlines()
        found = [line for line in map(json.loads, lines) if line.get("id") == stored["id"]]
        return found[0] if found else None

    line = until(logged, "the line is logged")
    assert re.fullmatch(r"[0-9a-f]{32}", line["trace_id"])
    assert (line["service"], line["message"]) == ("api", "stored")


def test_a_debugger_stops_at_a_breakpoint(stack: Project, gateway: httpx.Client) -> None:
    """By the protocol of Node's inspector, which editors speak."""
    port = stack.settings["services"]["api"]["debugPort"]
    (target,) = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=30).json()
    lines = (API / "src" / "application.js").read_text().splitlines()
    line = next(number for number, text in enumerate(lines) if "intelligence.insight(" in text)
    answers: list[int] = []

    def ask() -> None:
        answers.append(gateway.get("/insights", params={"series": "nobody"}).status_code)

    asking = Thread(target=ask)
    with connect(target["webSocketDebuggerUrl"], max_size=None) as inspector:

        def call(method: str, **parameters: Any) -> None:
            inspector.send(json.dumps({"id": 1, "method": method, "params": parameters}))

        def event(method: str) -> Any:
            while True:
                message = json.loads(inspector.recv(timeout=30))
                if message.get("method") == method:
                    return message["params"]

        call("Debugger.enable")
        call("Debugger.setBreakpointByUrl", urlRegex=r".*/src/application\.js", lineNumber=line)
        asking.start()
        (frame, *_) = event("Debugger.paused")["callFrames"]
        assert frame["location"]["lineNumber"] == line
        assert answers == []
        call("Debugger.resume")
        event("Debugger.resumed")
    asking.join()
    assert answers == [404]


def test_health_fails_without_postgresql_and_recovers(
    gateway: httpx.Client, services: dict[str, Any]
) -> None:
    services["postgres"].stop()
    unhealthy = until(lambda: _answer(gateway, 503), "the API is unhealthy")
    assert unhealthy["dependencies"]["postgresql"].startswith("postgresql is unavailable: ")
    assert gateway.post("/events", json={"series": "x", "value": 1}).status_code == 503
    services["postgres"].start()
    until(lambda: _answer(gateway, 200), "the API is healthy again")
    post(gateway, "x", 1)
    # Intelligence has a pool of its own, which may connect again later than the API's.
    answer = until(
        lambda: _answer(gateway, 200, "/insights?series=x"), "insights are computed again"
    )
    assert answer["events"] == 1


def test_without_redis_events_are_stored_and_insights_are_computed(
    gateway: httpx.Client, services: dict[str, Any]
) -> None:
    services["redis"].stop()
    health = _answer(gateway, 200)
    assert health["dependencies"]["redis"].startswith("redis is unavailable: ")
    post(gateway, "uncached", 1)
    assert [insight(gateway, "uncached")["cached"] for _ in range(2)] == [False, False]
    services["redis"].start()

    def caches() -> bool:
        return bool(insight(gateway, "uncached")["cached"])

    until(caches, "insights are cached again")


def _answer(gateway: httpx.Client, status: int, path: str = "/health") -> Any:
    answer = gateway.get(path)
    return answer.json() if answer.status_code == status else None


def test_the_api_stops_when_it_is_told_to(services: dict[str, Any]) -> None:
    api = services["api"]
    api.stop(timeout=10)
    api.reload()
    assert api.attrs["State"]["ExitCode"] == 0
    assert json.loads(api.logs(tail=1))["message"] == "stopped"
    api.start()


def test_the_tests_of_the_api_pass_in_its_image(engine: Any, stack: Project) -> None:
    """By Node.js's own test runner."""
    assert stack.stack == STACK
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(API / "test", "test")
    image = resolve("node-intelligence-api", choose()[0])
    container = engine.containers.create(image, ["node", "--test"], network_mode="none")
    try:
        container.put_archive("/opt/api", archive.getvalue())
        container.start()
        status = container.wait(timeout=60)["StatusCode"]
        output = container.logs().decode()
    finally:
        container.remove(force=True, v=True)
    assert status == 0, output
    assert "fail 0" in output
