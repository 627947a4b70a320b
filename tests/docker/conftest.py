"""One reference system on real Docker, for all tests of this layer."""

import socket
from collections.abc import Iterator
from typing import Any

import docker
import httpx
import pytest
from docker.errors import DockerException

from tests.project import Project


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture(scope="session")
def engine() -> Any:
    """The Docker engine."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.fail(f"this layer needs a Docker engine, and none answers: {error}")
    return client


def remove(engine: Any, stack: str) -> None:
    """Removes whatever carries the label of a test's stack, should Pulumi have left any."""
    label = {"label": f"strata.stack={stack}"}
    for container in engine.containers.list(all=True, filters=label):
        container.remove(force=True)
    for network in engine.networks.list(filters=label):
        network.remove()
    for volume in engine.volumes.list(filters=label):
        volume.remove()


@pytest.fixture(scope="session")
def reference(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The reference system, up and healthy, as stack `pytest`."""
    remove(engine, "pytest")
    project = Project(
        tmp_path_factory.mktemp("reference") / "project",
        "pytest",
        {
            "system": "reference",
            "ports": {"http": free_port(), "https": free_port()},
            "gpu": {"mode": "prefer"},
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
