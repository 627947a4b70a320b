"""A service in development: a change of its source shows without an update, and a debugger connects."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psycopg
import pytest

from tests.docker.conftest import containers, free_port, health, running
from tests.docker.operations import following
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-developed"
SERVICE = Path(__file__).parent / "developed"
SOURCE = "/opt/service/src"


@pytest.fixture(scope="module")
def developed(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system `developed`, whose source is a copy."""
    folder = tmp_path_factory.mktemp("developed")
    settings = {
        "system": "developed",
        "ports": {"http": free_port()},
        "services": {
            "app": {"develop": True, "debugPort": free_port(), "memoryMib": 192},
            "postgres": {
                "volumes": {"data": {"tmpfsMib": 256}},
                "ports": {"postgres": free_port()},
            },
        },
    }
    shutil.copytree(SERVICE, folder / "project" / "service")
    project = Project(folder / "project", STACK, settings, systems=TEST_SYSTEMS)
    with running(engine, project):
        yield project


def answer(project: Project) -> bytes | None:
    """What the service answers now, if it does."""
    try:
        port = project.settings["ports"]["http"]
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=60).content
    except httpx.HTTPError:
        return None


def change(project: Project, before: str, after: str) -> None:
    file = project.folder / "service" / "src" / "serve.py"
    file.write_text(file.read_text().replace(before, after))


def test_a_change_shows_in_the_same_container(engine: Any, developed: Project) -> None:
    app = containers(engine, STACK)["app"]
    assert answer(developed) == b"one"
    change(developed, 'b"one"', 'b"two"')
    until(lambda: answer(developed) == b"two", "the change shows")
    change(developed, 'ANSWER = b"two"', "ANSWER =")
    until(lambda: answer(developed) is None, "the program ended")
    change(developed, "ANSWER =", 'ANSWER = b"three"')
    until(lambda: answer(developed) == b"three", "the program runs again")
    until(lambda: health(app) == "healthy", "the container is healthy")
    now = containers(engine, STACK)["app"]
    assert (now.id, now.attrs["State"]["StartedAt"]) == (app.id, app.attrs["State"]["StartedAt"])


def send(stream: Any, number: int, command: str, **arguments: Any) -> None:
    """A request of the Debug Adapter Protocol, which editors speak."""
    request = {"type": "request", "seq": number, "command": command, "arguments": arguments}
    body = json.dumps(request)
    stream.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
    stream.flush()


def event(stream: Any, name: str) -> dict[str, Any]:
    """The next event of this name, once it arrives."""
    while True:
        length = int(stream.readline().rpartition(b":")[2])
        stream.readline()
        message: dict[str, Any] = json.loads(stream.read(length))
        if message.get("event") == name:
            return message


def test_a_debugger_stops_at_a_breakpoint(developed: Project) -> None:
    port = developed.settings["services"]["app"]["debugPort"]
    lines = (SERVICE / "src" / "serve.py").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if "ANSWER)" in text)
    answers: list[bytes | None] = []
    asking = Thread(target=lambda: answers.append(answer(developed)))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
        connection.makefile("rwb") as stream,
    ):
        send(stream, 1, "initialize", adapterID="test")
        send(stream, 2, "attach", name="test")
        event(stream, "initialized")
        breakpoints = {"source": {"path": f"{SOURCE}/serve.py"}, "breakpoints": [{"line": line}]}
        send(stream, 3, "setBreakpoints", **breakpoints)
        send(stream, 4, "configurationDone")
        event(stream, "process")
        asking.start()
        assert event(stream, "stopped")["body"]["reason"] == "breakpoint"
        assert answers == []
        send(stream, 5, "disconnect")
        event(stream, "terminated")
    asking.join()
    assert answers != [None]


def test_the_service_cannot_change_its_source(engine: Any, developed: Project) -> None:
    app = containers(engine, STACK)["app"]
    host = app.attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert app.attrs["Config"]["User"] == "10001:10001"
    status, output = app.exec_run(["touch", f"{SOURCE}/serve.py"], user="0:0")
    assert status != 0
    assert b"Read-only file system" in output


def test_a_published_port_leads_to_the_database(
    engine: Any, developed: Project, tmp_path: Path
) -> None:
    app = containers(engine, STACK)["app"]
    authority = tmp_path / "ca.pem"
    authority.write_text(run(app, "cat $DATABASE_CA_FILE"))
    login: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": developed.settings["services"]["postgres"]["ports"]["postgres"],
        "user": "strata",
        "dbname": "strata",
        "password": run(app, "cat $DATABASE_PASSWORD_FILE"),
        "sslmode": "verify-ca",
        "sslrootcert": str(authority),
    }
    with psycopg.connect(**login) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(**{**login, "sslmode": "disable"})


def test_data_in_memory_ends_with_the_container(engine: Any, developed: Project) -> None:
    postgres = containers(engine, STACK)["postgres"]
    (size,) = run(postgres, "df --output=size --block-size=1M $PGDATA/.. | tail -1").split()
    assert size == "256"
    run(postgres, "psql -U postgres -d strata -c 'CREATE TABLE public.kept (n int)'")
    postgres.restart()
    until(lambda: health(postgres) == "healthy", "it has a new database")
    assert (
        run(postgres, "psql -U postgres -d strata -Atc \"SELECT to_regclass('public.kept')\"")
        == "\n"
    )


def test_a_backup_omits_data_in_memory(developed: Project, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    command = [sys.executable, "-m", "strata", "backup", str(folder), "--stack", STACK]
    done = subprocess.run(
        command,
        cwd=developed.folder,
        env=developed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "postgres: not backed up, because it is in memory: data" in output
    assert {file.name for file in folder.iterdir()} == {"app.files.tar.gz.age", "manifest.json"}


def run(container: Any, script: str) -> str:
    """What a script prints in a container."""
    status, output = container.exec_run(["bash", "-c", script])
    assert status == 0, output
    text: str = output.decode()
    return text


def test_one_command_mounts_the_source_and_shows_the_logs(engine: Any, developed: Project) -> None:
    services = {"app": {"memoryMib": 192}, "postgres": developed.settings["services"]["postgres"]}
    developed.configure({**developed.settings, "services": services})
    file = developed.folder / f"Pulumi.{STACK}.yaml"
    before = file.read_text()
    assert developed.up().status == 0
    assert "strata.development" not in containers(engine, STACK)["app"].labels
    with following(developed, "dev", "app", "--stack", STACK) as (command, shown):
        until(lambda: any("Ctrl-C ends" in line for line in shown), "the stack is up", 120)
        change(developed, "ANSWER = ", "ANSWER = b'' or ")
        until(
            lambda: any("app-1 | " in line and "the source changed" in line for line in shown),
            "it restarts",
        )
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 0, shown
    assert shown[-1] == f"The source stays mounted until the next pulumi up --stack {STACK}.\n"
    assert containers(engine, STACK)["app"].labels["strata.development"] == "source"
    assert file.read_text() == before


def test_the_program_gets_the_signal_to_stop(engine: Any, developed: Project) -> None:
    app = containers(engine, STACK)["app"]
    app.stop(timeout=30)
    app.reload()
    # Python ends by SIGTERM (128 + 15) where a program doesn't handle it.
    assert app.attrs["State"]["ExitCode"] == 143
