"""The ways of jimbot's application to its stores: what each gets, and what is reported if it doesn't answer."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx2
import pytest

from apps.common.errors import UnavailableError
from apps.jimbot import compute, graph, simulation
from apps.jimbot.compute import Cluster
from apps.jimbot.events import Events
from apps.jimbot.graph import Graph
from apps.jimbot.measurements import Measurements
from apps.jimbot.plays import Advice
from apps.jimbot.settings import (
    EventstoreSettings,
    MemgraphSettings,
    QuestdbSettings,
    RaySettings,
)
from strata.components.engines import memgraph
from strata.model.certificates import CertificateAuthority
from tests.apps.bolt_server import BoltServer, Rows
from tests.project import REPOSITORY

ADVICE = Advice("5e0e2f0c-0000-4000-8000-000000000001", "ada", ("AS", "AD"), "pair", 64, 0.25)
PASSWORD = "first"

# -- QuestDB and EventStore, by HTTP


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return file


@dataclass
class Http:
    """A server that notes requests. `answer` answers them."""

    answer: Callable[[httpx2.Request], httpx2.Response]
    requests: list[httpx2.Request] = field(default_factory=list)

    @property
    def transport(self) -> httpx2.MockTransport:
        def handle(request: httpx2.Request) -> httpx2.Response:
            self.requests.append(request)
            return self.answer(request)

        return httpx2.MockTransport(handle)


def test_a_play_is_one_row_and_its_table_is_created_first(password_file: Path) -> None:
    found = {"columns": [{"name": "id"}, {"name": "score"}], "dataset": [["1", 64]]}
    http = Http(
        lambda request: httpx2.Response(204 if request.method == "POST" else 200, json=found)
    )

    async def use() -> list[dict[str, Any]]:
        store = Measurements(QuestdbSettings(questdb_password_file=password_file), http.transport)
        await store.add(ADVICE)
        password_file.write_text("rotated")
        return await store.newest("ada", 3)

    assert asyncio.run(use()) == [{"id": "1", "score": 64}]
    table, row, query = http.requests
    assert "CREATE TABLE IF NOT EXISTS plays" in table.url.params["query"]
    line, _, at_ns = row.content.decode().rstrip("\n").rpartition(" ")
    assert (row.method, row.url.path) == ("POST", "/write")
    assert line == (
        'plays,player=ada,name=pair id="5e0e2f0c-0000-4000-8000-000000000001",cards="AS AD",'
        "score=64i,beats=0.25"
    )
    assert at_ns.isdigit()
    assert "WHERE player = 'ada' ORDER BY at DESC LIMIT 3" in query.url.params["query"]
    passwords = [
        base64.b64decode(request.headers["authorization"].split()[1]).decode()
        for request in http.requests
    ]
    assert passwords == ["strata:first", "strata:first", "strata:rotated"]


@pytest.mark.parametrize("status", [401, 500])
def test_questdb_that_rejects_is_unavailable(password_file: Path, status: int) -> None:
    http = Http(lambda _: httpx2.Response(status))
    store = Measurements(QuestdbSettings(questdb_password_file=password_file), http.transport)
    with pytest.raises(UnavailableError, match=f"questdb is unavailable.*{status}"):
        asyncio.run(store.ping())


class Streams:
    """EventStore's streams, as its HTTP API has them."""

    def __init__(self) -> None:
        self.streams: dict[str, list[dict[str, Any]]] = {}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        _, kind, *rest = request.url.path.split("/")
        if (kind, rest) == ("health", ["live"]):
            return httpx2.Response(204)
        assert kind == "streams"
        if request.method == "POST":
            assert request.headers["content-type"] == "application/vnd.kurrent.events+json"
            assert request.headers["kurrent-expectedversion"] == "-2"
            stream = self.streams.setdefault(rest[0], [])
            known = {event["eventId"] for event in stream}
            stream += [
                event for event in json.loads(request.content) if event["eventId"] not in known
            ]
            return httpx2.Response(201)
        name, head, direction, count = rest
        assert (head, direction) == ("head", "backward")
        assert request.headers["accept"] == "application/vnd.kurrent.atom+json"
        if name not in self.streams:
            return httpx2.Response(404)
        newest = self.streams[name][: -int(count) - 1 : -1]
        entries = [{**event, "data": json.dumps(event["data"])} for event in newest]
        return httpx2.Response(200, json={"entries": entries})


def test_an_event_is_appended_once_and_read_back() -> None:
    streams = Streams()
    again = Advice("5e0e2f0c-0000-4000-8000-000000000002", "ada", ("2C",), "high_card", 7, 0.0)

    async def use() -> tuple[list[Any], list[Any]]:
        transport = Http(streams.answer).transport
        store = Events(EventstoreSettings(eventstore_host="eventstore"), transport)
        await store.ping()
        for advice in (ADVICE, ADVICE, again):
            await store.append(advice)
        return await store.newest("ada", 10), await store.newest("nobody", 10)

    newest, none = asyncio.run(use())
    assert [event["id"] for event in newest] == [again.id, ADVICE.id]
    assert newest[1]["cards"] == ["AS", "AD"]
    assert none == []
    assert [event["eventType"] for event in streams.streams["plays-ada"]] == ["PlayAdvised"] * 2


def test_an_eventstore_that_does_not_answer_is_unavailable() -> None:
    def refuse(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    settings = EventstoreSettings(eventstore_host="eventstore")
    with pytest.raises(UnavailableError, match="eventstore is unavailable: ConnectError"):
        asyncio.run(Events(settings, Http(refuse).transport).append(ADVICE))


# -- Ray, by its jobs


class Jobs:
    """A Ray cluster, as its jobs' API has it. A job is pending, runs, and then has `status`."""

    def __init__(self, status: str = "SUCCEEDED", share: float = 0.25) -> None:
        self.states = ["PENDING", "RUNNING", status]
        self.output = f'a warning\n{{"share_beaten": {share}}}\n'
        self.commands: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.tokens: set[str] = set()

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.tokens.add(request.headers["authorization"])
        match request.method, request.url.path:
            case "POST", "/api/jobs/":
                self.commands.append(json.loads(request.content)["entrypoint"])
                return httpx2.Response(200, json={"submission_id": "job-1"})
            case "GET", "/api/jobs/job-1/logs":
                return httpx2.Response(200, json={"logs": self.output})
            case "GET", "/api/jobs/job-1":
                state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
                return httpx2.Response(200, json={"status": state})
            case method, path:
                self.ended.append((method, path))
                return httpx2.Response(200, json={})


def simulate(jobs: Jobs, password_file: Path) -> float:
    async def use() -> float:
        cluster = Cluster(RaySettings(ray_password_file=password_file), Http(jobs.answer).transport)
        return await cluster.share_beaten(64, 5, 1000)

    return asyncio.run(use())


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(compute, "JOB_WITHIN_S", 2.0)


@pytest.mark.usefixtures("fast")
def test_a_simulation_is_a_job(password_file: Path) -> None:
    jobs = Jobs()
    assert simulate(jobs, password_file) == 0.25
    assert jobs.commands == ["python3 -m apps.jimbot.simulation 64 5 1000"]
    assert jobs.ended == [("DELETE", "/api/jobs/job-1")]
    assert jobs.tokens == {"Bearer first"}


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("status", "reason", "ended"),
    [
        ("FAILED", "the job has failed: a warning", ("DELETE", "/api/jobs/job-1")),
        ("RUNNING", "no result within 2.0 s", ("POST", "/api/jobs/job-1/stop")),
    ],
)
def test_a_job_without_a_result_is_ended(
    password_file: Path, status: str, reason: str, ended: tuple[str, str]
) -> None:
    jobs = Jobs(status)
    with pytest.raises(UnavailableError, match=f"ray is unavailable: {reason}"):
        simulate(jobs, password_file)
    assert jobs.ended == [ended]


def test_the_driver_shares_the_samples_among_tasks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[tuple[int, ...]] = []

    def remote(function: Callable[..., int]) -> SimpleNamespace:
        def start(*arguments: int) -> int:
            started.append(arguments)
            return function(*arguments)

        return SimpleNamespace(remote=start)

    ray = ModuleType("ray")
    vars(ray).update(init=lambda **_: None, remote=remote, get=list)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(sys, "argv", ["simulation", "13", "1", "1000"])
    simulation.main()
    assert started == [(13, 1, 250, seed) for seed in range(4)]
    share = json.loads(capsys.readouterr().out.splitlines()[-1])["share_beaten"]
    assert 6 / 13 - 0.05 < share < 6 / 13 + 0.05


# -- Memgraph, by Bolt


@dataclass
class Certificates:
    """The files of a server named 127.0.0.1, and of the stack's authority."""

    certificate: Path
    key: Path
    authority: Path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = CertificateAuthority("test", b"authority")
    issued = authority.issue(("127.0.0.1",), b"server")
    contents = {
        "certificate": issued.certificate_pem,
        "key": issued.private_key_pem,
        "authority": authority.certificate_pem,
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    return Certificates(*(folder / name for name in contents))


def ranking(query: str, _: Mapping[str, Any]) -> Rows:
    if query.startswith("CALL plays.ranking()"):
        return ["name", "plays"], [["pair", 2], ["flush", 1]]
    return ["1"], [[1]]


def graph_settings(
    bolt: BoltServer, certificates: Certificates, password: Path
) -> MemgraphSettings:
    return MemgraphSettings(
        memgraph_host="127.0.0.1",
        memgraph_port=bolt.port,
        memgraph_password_file=password,
        memgraph_ca_file=certificates.authority,
    )


def test_the_graph_counts_a_play(certificates: Certificates, password_file: Path) -> None:
    with BoltServer(certificates.certificate, certificates.key, PASSWORD, ranking) as bolt:

        async def use() -> list[dict[str, Any]]:
            store = Graph(graph_settings(bolt, certificates, password_file))
            await store.ping()
            await store.add(ADVICE)
            found = await store.ranking()
            await store.close()
            return found

        assert asyncio.run(use()) == [{"name": "pair", "plays": 2}, {"name": "flush", "plays": 1}]
    ((query, parameters),) = [one for one in bolt.queries if "MERGE" in one[0]]
    assert parameters == {"player": "ada", "name": "pair"}
    assert "SET hand.plays = hand.plays + 1" in query
    # What Memgraph has in common with the driver.
    assert set(bolt.versions) == {(5, 2)}


@pytest.mark.parametrize("wrong", ["password", "authority", "port"])
def test_memgraph_that_does_not_let_in_is_unavailable(
    certificates: Certificates, password_file: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "WITHIN_S", 2.0)
    with BoltServer(certificates.certificate, certificates.key, PASSWORD, ranking) as bolt:
        settings = graph_settings(bolt, certificates, password_file)
        if wrong == "password":
            password_file.write_text("wrong")
        elif wrong == "authority":
            other = password_file.with_name("other.pem")
            other.write_text(CertificateAuthority("other", b"other").certificate_pem)
            settings.memgraph_ca_file = other
        else:
            settings.memgraph_port = 1

        async def use() -> None:
            store = Graph(settings)
            try:
                await store.ping()
            finally:
                await store.close()

        with pytest.raises(UnavailableError, match="memgraph is unavailable"):
            asyncio.run(use())


def probe(
    bolt: BoltServer, certificates: Certificates, password: Path
) -> subprocess.CompletedProcess[str]:
    """Runs the health check of the engine against a server, as Docker does."""
    script = memgraph.PROBE
    for there, here in {
        memgraph.PASSWORD_FILE: str(password),
        memgraph.CERTIFICATE_FILE: str(certificates.certificate),
        str(memgraph.PORT): str(bolt.port),
    }.items():
        assert there in script
        script = script.replace(there, here)
    address = {"LISTEN_ADDRESS": "127.0.0.1", "SERVER_NAME": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **address},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_health_check_logs_in_and_queries(
    certificates: Certificates, password_file: Path
) -> None:
    password_file.write_text(PASSWORD)
    with BoltServer(certificates.certificate, certificates.key, PASSWORD, ranking) as bolt:
        done = probe(bolt, certificates, password_file)
        assert (done.returncode, done.stderr) == (0, "")
        assert bolt.queries == [("RETURN 1", {})]
        assert bolt.versions == [(4, 3)]


def broken(_: str, __: Mapping[str, Any]) -> Rows:
    raise ValueError("Memgraph.TransientError.MemgraphError.MemgraphError: memory limit exceeded")


@pytest.mark.parametrize(
    ("password", "answer", "reason"),
    [
        ("other", ranking, "the password is wrong"),
        (PASSWORD, broken, "memory limit exceeded"),
        (PASSWORD, lambda *_: (["1"], []), "has_more"),
    ],
)
def test_the_health_check_fails_if_the_query_does(
    certificates: Certificates, password_file: Path, password: str, answer: Any, reason: str
) -> None:
    password_file.write_text(PASSWORD)
    with BoltServer(certificates.certificate, certificates.key, password, answer) as bolt:
        done = probe(bolt, certificates, password_file)
    assert done.returncode == 1
    assert reason in done.stderr


def test_the_query_module_ranks_the_plays_of_the_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    mgp = ModuleType("mgp")
    vars(mgp).update(Record=dict, ProcCtx=object, read_proc=lambda procedure: procedure)
    monkeypatch.setitem(sys.modules, "mgp", mgp)
    path = REPOSITORY / "apps" / "jimbot" / "mage_modules" / "plays.py"
    specification = importlib.util.spec_from_file_location("plays", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def vertex(label: str, **properties: Any) -> SimpleNamespace:
        return SimpleNamespace(labels=[SimpleNamespace(name=label)], properties=properties)

    vertices = [vertex("Player", name="ada"), vertex("Hand", name="pair", plays=2)]
    context = SimpleNamespace(graph=SimpleNamespace(vertices=vertices))
    assert module.ranking(context) == [{"name": "pair", "plays": 2}]
