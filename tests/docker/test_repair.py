"""An update without changes looks at what runs, and repairs it; nothing that Pulumi does deletes data."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from strata.platforms.docker import leftovers
from strata.platforms.docker.names import STACK as STACK_LABEL
from tests.docker.conftest import containers, remove
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-repair"
VOLUME = f"strata-{STACK}-server-data"
FETCH = """
import urllib.request
print(urllib.request.urlopen('http://server:8000', timeout=5).status)
"""


@pytest.fixture(scope="module")
def stack(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A server with data and its client, up and healthy."""
    remove(engine, STACK)
    folder = tmp_path_factory.mktemp("repair") / "project"
    project = Project(folder, STACK, {"system": "holding"}, systems=TEST_SYSTEMS)
    up = project.up()
    assert up.status == 0, up.output
    yield project
    destroyed = project.destroy()
    remove(engine, STACK)
    assert destroyed.status == 0, destroyed.output


def test_images_that_cannot_be_pulled_are_named_before_anything_changes(
    engine: Any, tmp_path: Path
) -> None:
    name = "pytest-unavailable"
    image = f"localhost:1/missing@sha256:{'0' * 64}"
    services = {each: {"image": image} for each in ("server", "client")}
    settings = {"system": "pair", "services": services}
    project = Project(tmp_path / "project", name, settings, systems=TEST_SYSTEMS)
    up = project.up()
    assert up.status != 0, up.output
    assert "2 problems; nothing was changed." in up.output, up.output
    for service in services:
        assert f"{service}: image: can't be pulled: {image}: " in up.output, up.output
        assert f"strata:services.{service}.enabled: false" in up.output, up.output
    assert engine.networks.list(filters={"label": f"{STACK_LABEL}={name}"}) == []


def kill_all(running: dict[str, Any]) -> None:
    for container in running.values():
        container.kill()


def disconnect(running: dict[str, Any]) -> None:
    client = running["client"].client
    for network in client.networks.list(filters={"label": f"strata.stack={STACK}"}):
        for container in running.values():
            network.disconnect(container)


def kill_and_disconnect(running: dict[str, Any]) -> None:
    kill_all(running)
    disconnect(running)


def pause(running: dict[str, Any]) -> None:
    running["server"].pause()


def hang(running: dict[str, Any]) -> None:
    server = running["server"]
    for process in server.top()["Processes"]:
        if process[1] != str(server.attrs["State"]["Pid"]):  # The init, which forwards signals.
            os.kill(int(process[1]), signal.SIGSTOP)

    def is_unhealthy() -> bool:
        server.reload()
        return bool(server.attrs["State"]["Health"]["Status"] == "unhealthy")

    until(is_unhealthy, "the server that hangs is unhealthy")


@pytest.mark.fault(
    "every container is killed by hand",
    "every container is disconnected from its networks",
    "a container is paused",
    "a process hangs (SIGSTOP)",
    holds="`preview` lists the damage, `up` repairs it and keeps the containers",
)
@pytest.mark.parametrize(
    ("damage", "warning"),
    [
        (kill_all, "does not run (exited); the update starts it"),
        (disconnect, "is not connected to"),
        (kill_and_disconnect, "is not connected to"),
        (pause, "is paused; the update resumes it"),
        (hang, "is unhealthy; the update restarts it"),
    ],
)
def test_a_damaged_stack_is_repaired(
    engine: Any, stack: Project, damage: Callable[[dict[str, Any]], None], warning: str
) -> None:
    before = containers(engine, STACK)
    assert set(before) == {"server", "client"}
    damage(before)
    preview = stack.preview()
    assert warning in preview.output, preview.output

    up = stack.up()
    assert up.status == 0, up.output
    after = containers(engine, STACK)
    assert {name: one.id for name, one in after.items()} == {
        name: one.id for name, one in before.items()
    }, "repaired, not replaced"
    fetched = after["client"].exec_run(["python3", "-c", FETCH])
    assert fetched.output.strip() == b"200", fetched.output

    def healthy() -> bool:
        """By the engine's own checks, which run at intervals."""
        running = containers(engine, STACK).values()
        return all(one.attrs["State"]["Health"]["Status"] == "healthy" for one in running)

    until(healthy, "all are healthy")
    again = stack.preview()
    assert warning not in again.output, again.output


def remove_all(engine: Any) -> None:
    """Removes the containers and networks of the stack, and keeps its volumes."""
    leftovers.remove(engine, {STACK_LABEL: STACK})


@pytest.mark.fault(
    "all containers and networks are removed by hand",
    holds="`up` creates them again, with the data",
)
def test_what_is_gone_is_created_again(engine: Any, stack: Project) -> None:
    remove_all(engine)
    up = stack.up()
    assert up.status == 0, up.output
    assert f"No longer in Docker, created again: strata-{STACK}-client-1" in up.output, up.output
    assert set(containers(engine, STACK)) == {"server", "client"}
    again = stack.up()
    assert "created" not in again.output, again.output


@pytest.mark.fault(
    "a volume with data is removed by hand",
    holds="`up` fails and says so; `up --refresh` creates it empty",
)
def test_a_data_volume_that_is_gone_is_created_again_only_when_told(
    engine: Any, stack: Project
) -> None:
    remove_all(engine)
    engine.volumes.get(VOLUME).remove()
    rejected = stack.up()
    assert rejected.status != 0, rejected.output
    assert f"volumes with data no longer exist in Docker: {VOLUME}" in rejected.output
    assert containers(engine, STACK) == {}
    confirmed = stack.run("up", "--yes", "--skip-preview", "--refresh")
    assert confirmed.status == 0, confirmed.output
    assert set(containers(engine, STACK)) == {"server", "client"}


def test_a_destroyed_stack_keeps_its_data(engine: Any, stack: Project) -> None:
    server = containers(engine, STACK)["server"]
    assert server.exec_run(["bash", "-c", "echo kept > /data/file"]).exit_code == 0
    destroyed = stack.destroy()
    assert destroyed.status == 0, destroyed.output
    label = {"label": f"strata.stack={STACK}"}
    assert engine.containers.list(all=True, filters=label) == []
    assert engine.networks.list(filters=label) == []
    assert [volume.name for volume in engine.volumes.list(filters=label)] == [VOLUME]

    stack.configure({"system": "holding.other"})
    rejected = stack.preview()
    assert rejected.status != 0, rejected.output
    assert f"whose data this stack has: {VOLUME}" in rejected.output, rejected.output

    stack.configure({"system": "holding"})
    up = stack.up()
    assert up.status == 0, up.output
    server = containers(engine, STACK)["server"]
    assert server.exec_run(["cat", "/data/file"]).output == b"kept\n"


def test_a_volume_is_protected_or_deleted_as_its_policy_says(engine: Any, stack: Project) -> None:
    def choose(policy: str) -> None:
        volumes = {"data": {"deletionPolicy": policy}}
        stack.configure({"system": "holding", "services": {"server": {"volumes": volumes}}})
        up = stack.up()
        assert up.status == 0, up.output

    before = containers(engine, STACK)
    choose("protect")
    rejected = stack.destroy()
    assert rejected.status != 0, rejected.output
    assert "at what is protected: server-data" in rejected.output, rejected.output
    choose("delete")
    after = containers(engine, STACK)
    assert {name: one.id for name, one in after.items()} == {
        name: one.id for name, one in before.items()
    }
    destroyed = stack.destroy()
    assert destroyed.status == 0, destroyed.output
    assert engine.volumes.list(filters={"label": f"strata.stack={STACK}"}) == []

    stack.configure({"system": "holding"})
    up = stack.up()
    assert up.status == 0, up.output


def test_a_renamed_service_keeps_its_data(engine: Any, stack: Project) -> None:
    """A system that no longer has the service: the plan deletes the volume, and Docker keeps it."""
    server = containers(engine, STACK)["server"]
    assert server.exec_run(["bash", "-c", "echo kept > /data/file"]).exit_code == 0
    program = stack.folder / "systems"
    program.unlink()
    program.mkdir()
    for file in TEST_SYSTEMS.glob("*.py"):
        (program / file.name).write_text(file.read_text())
    system = program / "holding.py"
    system.write_text(system.read_text().replace('        "server",', '        "renamed",'))
    up = stack.up()
    assert up.status == 0, up.output
    assert set(containers(engine, STACK)) == {"renamed", "client"}
    assert VOLUME in [volume.name for volume in engine.volumes.list()]


@pytest.mark.fault(
    "the seed is replaced beside live data",
    holds="`up` and `destroy` are rejected, nothing changes",
)
def test_another_seed_is_rejected_beside_live_data(engine: Any, stack: Project) -> None:
    seed = Path(stack.environment["STRATA_SEED_FILE"])
    original = seed.read_text()
    before = {name: one.id for name, one in containers(engine, STACK).items()}
    seed.write_text("another seed, as a lost one would be replaced by")
    try:
        updated, destroyed = stack.up(), stack.destroy()
        # Without its state, only the labels in Docker tell.
        state = stack.state.rename(stack.state.with_name("elsewhere"))
        stack.state.mkdir()
        assert stack.run("stack", "init", STACK, with_stack=False).status == 0
        without_state = stack.up()
        shutil.rmtree(stack.state)
        state.rename(stack.state)
    finally:
        seed.write_text(original)
    for rejected in (updated, destroyed):
        assert rejected.status != 0, rejected.output
        assert "is not the one that the stack was created with" in rejected.output
    assert without_state.status != 0, without_state.output
    assert "restore the seed" in without_state.output, without_state.output
    assert {name: one.id for name, one in containers(engine, STACK).items()} == before
