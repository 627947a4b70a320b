"""QuestDB on real Docker: it wants its password, rows outlive a killed process, a backup restores them, and
health can fail."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strata.components.engines.questdb import MONITORING
from tests.docker.conftest import health, running
from tests.docker.faults import hanging
from tests.docker.operations import restored
from tests.docker.prometheus import prometheus
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-questdb"

# With the variables and the file that the connection sets.
REQUEST = """
import base64, os, sys, urllib.error, urllib.parse, urllib.request
password, port, path, query, body = sys.argv[1:]
password = password or open(os.environ["SERIES_PASSWORD_FILE"]).read()
login = base64.b64encode(f"{os.environ['SERIES_USER']}:{password}".encode()).decode()
url = f"http://{os.environ['SERIES_HOST']}:{port or os.environ['SERIES_PORT']}{path}"
if query:
    url += "?" + urllib.parse.urlencode({"query": query})
request = urllib.request.Request(url, body.encode() or None, {"Authorization": f"Basic {login}"})
try:
    print(urllib.request.urlopen(request, timeout=10).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


@pytest.fixture(scope="module")
def series(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(
        tmp_path_factory.mktemp("questdb") / "project",
        STACK,
        {"system": "questdb"},
        systems=TEST_SYSTEMS,
    )
    with running(engine, project):
        yield project


@pytest.fixture
def store(engine: Any, series: Project) -> Any:
    """The container of QuestDB."""
    return engine.containers.get(f"strata-{series.stack}-store-1")


@pytest.fixture
def client(engine: Any, series: Project) -> Any:
    """The container of a linked service."""
    return engine.containers.get(f"strata-{series.stack}-client-1")


def send(
    client: Any, path: str, query: str = "", body: str = "", password: str = "", port: str = ""
) -> str:
    """What QuestDB answers to the client: the body, or the status of an error."""
    arguments = [password, port, path, query, body]
    status, output = client.exec_run(["python3", "-c", REQUEST, *arguments])
    assert status == 0, output.decode()
    text: str = output.decode().strip()
    return text


def test_a_wrong_password_is_rejected(client: Any) -> None:
    assert send(client, "/exec", "select 1", password="wrong") == "401"
    assert '"dataset":[[1]]' in send(client, "/exec", "select 1")


def test_rows_outlive_a_killed_process(store: Any, client: Any) -> None:
    assert send(client, "/write", body="weather,city=Berlin celsius=21.5\n") == ""

    def read() -> bool:
        return '[["Berlin",21.5]]' in send(client, "/exec", "select city, celsius from weather")

    until(read, "the row is visible")
    (process,) = [line for line in store.top()["Processes"] if "ServerMain" in line[-1]]
    restarts = store.attrs["RestartCount"]
    os.kill(int(process[1]), signal.SIGKILL)

    def restarted() -> bool:
        store.reload()
        again: bool = store.attrs["RestartCount"] > restarts
        return again and health(store) == "healthy"

    until(restarted, "Docker starts it again")
    assert read()


def test_a_dropped_table_is_restored(series: Project, client: Any, tmp_path: Path) -> None:
    query = "select city, celsius from kept"

    def read() -> bool:
        return '[["Oslo",4.5]]' in send(client, "/exec", query)

    assert send(client, "/write", body="kept,city=Oslo celsius=4.5\n") == ""
    until(read, "the row is visible")
    with restored(series, tmp_path / "backup"):
        send(client, "/exec", "drop table kept")
        until(lambda: send(client, "/exec", query) == "400", "the table doesn't exist")
    until(read, "the row is visible again")


def test_the_volume_has_no_password(store: Any) -> None:
    """A backup contains the volume."""
    script = "grep -rlFf <(sed -n 's/^http.password=//p' /run/secrets/server.conf) /var/lib/questdb"
    # Status 1: no line was selected. `-r` doesn't follow links.
    assert store.exec_run(["bash", "-c", script]) == (1, b"")


def test_it_is_unhealthy_while_it_hangs(store: Any, client: Any) -> None:
    # Docker's own check comes some time after the start, which a restore repeats.
    until(lambda: health(store) == "healthy", "it is healthy for Docker, too", 120)
    with hanging(store):
        until(lambda: health(store) == "unhealthy", "its health check fails")
    until(lambda: health(store) == "healthy", "its health check passes again")
    metrics = send(client, "/metrics", port="9003").splitlines()
    values = dict(line.rsplit(" ", 1) for line in metrics if line and line[0] != "#")
    assert values["questdb_suspended_tables"] == values["questdb_unhandled_errors_total"] == "0"


def test_a_table_that_cannot_be_written_is_reported(engine: Any, store: Any, client: Any) -> None:
    def change(mode: str) -> None:
        folder = "/var/lib/questdb/db/shipped~*/"
        status, output = store.exec_run(["bash", "-c", f"chmod {mode} {folder}"])
        assert status == 0, output.decode()

    def rows(count: int) -> bool:
        return f'"dataset":[[{count}]]' in send(client, "/exec", "select count() from shipped")

    assert send(client, "/write", body="shipped,to=Oslo tons=1 1000000000000000000\n") == ""
    until(lambda: rows(1), "the row is visible")
    with prometheus(engine, client, "store", "store:9003", MONITORING) as observed:
        # A row of another day needs a new folder.
        change("u-w")
        assert send(client, "/write", body="shipped,to=Oslo tons=2 1100000000000000000\n") == ""
        until(lambda: observed.is_firing("QuestdbTableSuspended"), "the alert fires")
        change("u+w")
        assert send(client, "/exec", "alter table shipped resume wal")
        until(lambda: rows(2), "both rows are visible")
        until(lambda: not observed.is_firing("QuestdbTableSuspended"), "the alert is resolved")
