"""One reference system on real Docker, for all tests of this layer."""

import io
import json
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from threading import Thread
from typing import Any

import httpx
import pytest

from strata import docker_engine
from strata.errors import DockerError
from strata.platforms.docker import leftovers
from strata.platforms.docker.names import STACK
from tests.docker import images
from tests.docker.linked_network import LinkedNetwork
from tests.project import Project

# Says on which port it listens, then accepts whoever comes.
ANSWER = """
import socket, sys
server = socket.create_server((sys.argv[1], 0))
print(server.getsockname()[1], flush=True)
while True:
    server.accept()[0].close()
"""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def bridge_address(engine: Any) -> str:
    """The address that this machine has on Docker's own bridge: containers reach it, not only this machine."""
    (config,) = engine.networks.get("bridge").attrs["IPAM"]["Config"]
    # Docker 20.10 shows no gateway if it created the bridge itself: it is the first address.
    return str(config.get("Gateway") or next(IPv4Network(config["Subnet"]).hosts()))


@pytest.fixture(scope="session", autouse=True)
def images_in_background(request: pytest.FixtureRequest) -> Iterator[None]:
    """Builds what takes minutes, while other tests run."""
    with images.building({item.path.stem for item in request.session.items}):
        yield


@pytest.fixture(scope="session")
def engine() -> Any:
    """The Docker engine."""
    try:
        return docker_engine.connect()
    except DockerError as error:
        pytest.fail(f"this layer needs a Docker engine: {error}")


def remove(engine: Any, stack: str) -> None:
    """Removes everything with the label of a test's stack that Pulumi may have left."""
    leftovers.remove(engine, {STACK: stack}, volumes=True)


@contextmanager
def running(engine: Any, project: Project) -> Iterator[Project]:
    """The project's stack, up and healthy. Nothing of it is left at the end, whatever happens."""
    remove(engine, project.stack)
    try:
        up = project.up()
        assert up.status == 0, up.output
        yield project
    finally:
        destroyed = project.destroy()
        remove(engine, project.stack)
    assert destroyed.status == 0, destroyed.output


def put_files(container: Any, files: Mapping[str, str]) -> None:
    """Writes files, by path, into a container that was created."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
    container.put_archive("/", archive.getvalue())


def output_of(engine: Any, image: str, command: list[str], **options: Any) -> str:
    """What a command prints in a container of an image. The container is removed with its volumes: the
    SDK's own `remove` leaves those that the image declares."""
    container = engine.containers.run(image, command, detach=True, **options)
    try:
        status = container.wait()["StatusCode"]
        output: str = container.logs().decode()
        assert status == 0, output
        return output
    finally:
        container.remove(force=True, v=True)


def health(container: Any) -> str:
    """The health of a container, as the engine reports it now."""
    container.reload()
    status: str = container.attrs["State"]["Health"]["Status"]
    return status


class Receiver:
    """A webhook that Alertmanager posts to: what fires, and what has been resolved, with the times."""

    def __init__(self, address: str) -> None:
        received: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.extend(json.loads(body)["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.received = received
        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{address}:{self.server.server_port}/"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def has(self, name: str, status: str, service: str = "", since: int = 0) -> bool:
        """Whether an alert was received with this status, after the first `since` of all."""
        return any(
            alert["labels"]["alertname"] == name
            and alert["status"] == status
            and service in ("", alert["labels"].get("service"))
            for alert in self.received[since:]
        )


@pytest.fixture(scope="session")
def receiver(engine: Any) -> Iterator[Receiver]:
    """A receiver of alerts at the address that this machine has on Docker's own bridge."""
    receiver = Receiver(bridge_address(engine))
    yield receiver
    receiver.server.shutdown()


@pytest.fixture(scope="session")
def reference(
    engine: Any, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The reference system, up and healthy, as stack `pytest`."""
    remove(engine, "pytest")
    project = Project(
        tmp_path_factory.mktemp("reference") / "project",
        "pytest",
        {
            "system": "reference",
            "ports": {port: free_port() for port in ("http", "https", "dashboards", "logs")},
            "gpu": {"mode": "prefer"},
            "observability": {"receivers": {"webhookUrl": receiver.url}},
        },
    )
    up = project.up()
    assert up.status == 0, up.output
    yield project
    destroyed = project.destroy()
    left = engine.containers.list(all=True, filters={"label": "strata.stack=pytest"})
    remove(engine, "pytest")
    assert destroyed.status == 0, destroyed.output
    assert left == []


@pytest.fixture(scope="session")
def gateway(reference: Project) -> Iterator[httpx.Client]:
    """A client of the reference system's gateway."""
    with httpx.Client(base_url=reference.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


def containers(engine: Any, stack: str = "pytest") -> dict[str, Any]:
    """The running containers of a stack by service (the first replica of each)."""
    label = {"label": f"strata.stack={stack}"}
    found = engine.containers.list(filters=label)
    return {one.labels["strata.service"]: one for one in found if "strata.service" in one.labels}


@pytest.fixture
def outside() -> Iterator[tuple[str, int]]:
    """A host that is not this one: a network namespace that answers behind a link of its own. Gives its address
    and port."""
    network = LinkedNetwork("out", "198.51.100")
    network.create()
    try:
        command = [*network.inside, sys.executable, "-c", ANSWER, network.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            yield network.address, int(server.stdout.readline())
            server.kill()
    finally:
        network.delete()
