"""The images of the observability services: each runs hardened and answers its probe."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from strata.images.choose import choose
from strata.images.source import resolve
from strata.model import HttpProbe, Probe
from strata.platforms.docker.health import health_test
from tests.docker import images
from tests.docker.conftest import output_of

# By image: the version that its program prints, the path and port of its probe, and arguments that
# it doesn't start without.
IMAGES = {
    "prometheus": ("2.53", "/-/ready", 9090, ()),
    "alertmanager": ("0.28", "/-/ready", 9093, ()),
    "node-exporter": ("1.9", "/metrics", 9100, ()),
    "postgres-exporter": ("0.17", "/metrics", 9187, ()),
    "redis-exporter": ("1.69", "/health", 9121, ()),
    "elasticsearch-exporter": ("1.9", "/", 9114, ()),
    "blackbox-exporter": ("0.26", "/-/healthy", 9115, ()),
    "victoria-logs": ("v1.52.1", "/health", 9428, ()),
    "vlagent": (
        "v1.52.1",
        "/health",
        9429,
        ("-tmpDataPath=/vlagent-data", "-remoteWrite.url=http://127.0.0.1:9428/insert/native"),
    ),
}
# vlagent's start script selects the containers of this stack.
ENVIRONMENT = {"STACK": "pytest"}
START_SECONDS = 60


@pytest.fixture(scope="module", params=IMAGES)
def name(request: pytest.FixtureRequest, engine: Any) -> str:
    """The name of an image, which is built."""
    name: str = request.param
    images.ensure(engine, name)
    return name


@pytest.fixture
def container(name: str, engine: Any) -> Iterator[Any]:
    """The image's program, hardened as the platform hardens a service."""
    container = engine.containers.run(
        resolve(name, choose()[0]),
        list(IMAGES[name][3]) or None,
        detach=True,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        network_mode="none",
        environment=ENVIRONMENT,
        tmpfs={"/tmp": "mode=1777"},
        mem_limit="256m",
        memswap_limit="256m",
    )
    yield container
    container.remove(force=True, v=True)


def test_an_image_has_the_program_of_its_version(name: str, engine: Any) -> None:
    output = output_of(
        engine,
        resolve(name, choose()[0]),
        ["--version"],
        network_mode="none",
        environment=ENVIRONMENT,
    )
    assert IMAGES[name][0] in output


def test_a_hardened_container_answers_its_probe(name: str, container: Any) -> None:
    _, path, port, _ = IMAGES[name]
    command = health_test(Probe(check=HttpProbe(port=port, path=path)))
    deadline = time.monotonic() + START_SECONDS
    while (answer := container.exec_run(command)).exit_code != 0 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert answer.exit_code == 0, container.logs().decode()
    assert container.exec_run(["id", "-u"]).output == b"10001\n"
