"""A Docker engine that stops half way: one error that says so, and the next update repairs."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.own_engine import ADDRESSES, Engine, running_engine
from tests.faults import RECOVERY_SECONDS
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-stops"


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    with running_engine(lambda _: None) as engine:
        yield engine


def healthy(client: Any) -> bool:
    """Whether both services are, by checks since they started."""
    running = client.containers.list(filters={"label": f"strata.stack={STACK}"})
    states = [one.attrs["State"]["Health"]["Status"] for one in running]
    return states == ["healthy", "healthy"]


@pytest.mark.fault(
    "dockerd is killed (SIGKILL) during an update",
    holds="one error that says so; the next update repairs the stack",
)
@pytest.mark.fault(
    "dockerd is killed or stopped (SIGKILL, SIGTERM), and starts again",
    holds="it starts the stack, without an update; the next update changes nothing",
)
@pytest.mark.parametrize("moment", ["made", "running"])
def test_an_engine_that_stops_half_way(
    engine: Any,
    own_engine: Engine,
    tmp_path: Path,
    moment: str,
    record_property: Callable[[str, object], None],
) -> None:
    client = own_engine.start()
    own_engine.load(engine, "probe-server")
    settings = {"system": "ailing.cured", "network": {"range": ADDRESSES}, "images": "local"}
    project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
    project.environment["DOCKER_HOST"] = own_engine.url
    # Its server is never healthy, so that the update is under way until it is told otherwise.
    project.configure({**settings, "system": "ailing.never"})

    update = project.start("up", "--yes", "--skip-preview")
    until(
        lambda: client.api.containers(all=moment == "made"), f"a container is {moment}", seconds=120
    )
    own_engine.kill()
    output, _ = update.communicate(timeout=60)
    assert update.returncode != 0, output
    assert "Traceback" not in output, output
    # The one is said by the provider, the other by the program, whoever needed Docker next.
    assert "docker.sock" in output or "the engine stopped responding" in output, output

    client = own_engine.start()
    project.configure(settings)
    repaired = project.up()
    assert repaired.status == 0, repaired.output
    running = client.containers.list(filters={"label": f"strata.stack={STACK}"})
    assert sorted(one.labels["strata.service"] for one in running) == ["client", "server"]
    again = project.up()
    assert "created" not in again.output, again.output
    {"made": own_engine.kill, "running": own_engine.stop}[moment]()
    client = own_engine.start()
    begin = time.monotonic()
    until(lambda: healthy(client), "the engine brings the stack back by itself")
    record_property(RECOVERY_SECONDS, time.monotonic() - begin)
    again = project.up()
    assert again.status == 0, again.output
    assert "created" not in again.output, again.output
    destroyed = project.destroy()
    assert destroyed.status == 0, destroyed.output


SMALL_DISK_MIB = 900


def test_an_engine_whose_disk_is_full(tmp_path: Path) -> None:
    def small_disk(folder: Path) -> None:
        (folder / "data").mkdir()
        options = f"size={SMALL_DISK_MIB}m"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder / "data")]
        subprocess.run(command, check=True)

    with running_engine(small_disk) as small:
        settings = {"system": "pair", "network": {"range": ADDRESSES}, "images": "local"}
        project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
        project.environment["DOCKER_HOST"] = small.url
        refused = project.up()
        assert refused.status != 0, refused.output
        assert "docker: disk: " in refused.output, refused.output
        assert "MiB are free in Docker's data folder" in refused.output
        assert "docker system df" in refused.output
        assert small.start().api.containers(all=True) == []
