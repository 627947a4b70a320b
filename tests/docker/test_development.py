"""A service in development: a change of its source shows without an update, and a debugger connects."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docker.conftest import containers, free_port, health, running
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
        "services": {"app": {"develop": True, "debugPort": free_port(), "memoryMib": 192}},
    }
    shutil.copytree(SERVICE, folder / "project" / "service")
    project = Project(folder / "project", STACK, settings, systems=TEST_SYSTEMS)
    with running(engine, project):
        yield project


def answer(project: Project) -> bytes | None:
    """What the service answers now, if it does."""
    try:
        port = project.settings["ports"]["http"]
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=5).content
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


def send(stream: Any, command: str) -> None:
    """A request of the Debug Adapter Protocol, which editors speak."""
    body = json.dumps({"type": "request", "seq": 1, "command": command, "arguments": {}})
    stream.write(f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
    stream.flush()


def receive(stream: Any) -> dict[str, Any]:
    length = int(stream.readline().rpartition(b":")[2])
    stream.readline()
    message: dict[str, Any] = json.loads(stream.read(length))
    return message


def test_a_debugger_connects(developed: Project) -> None:
    port = developed.settings["services"]["app"]["debugPort"]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        stream = connection.makefile("rwb")
        send(stream, "initialize")
        send(stream, "attach")
        while receive(stream).get("event") != "initialized":
            pass
        send(stream, "configurationDone")
        message: dict[str, Any] = {}
        while message.get("event") != "process":
            message = receive(stream)
    assert message["body"]["name"].endswith("serve.py")


def test_the_service_cannot_change_its_source(engine: Any, developed: Project) -> None:
    app = containers(engine, STACK)["app"]
    host = app.attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert app.attrs["Config"]["User"] == "10001:10001"
    status, output = app.exec_run(["touch", f"{SOURCE}/serve.py"], user="0:0")
    assert status != 0
    assert b"Read-only file system" in output


def test_the_program_gets_the_signal_to_stop(engine: Any, developed: Project) -> None:
    app = containers(engine, STACK)["app"]
    app.stop(timeout=30)
    app.reload()
    # Python ends by SIGTERM (128 + 15) where a program doesn't handle it.
    assert app.attrs["State"]["ExitCode"] == 143
