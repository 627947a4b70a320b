"""Updates: nothing changes unasked, a change touches what it must, an interruption is repaired."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import containers, free_port, remove
from tests.faults import KILLS_VARIABLE
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

GENERATIONS = {"redis": 2, "postgres": 2, "rabbitmq": 2}


def started(engine: Any, stack: str) -> dict[str, tuple[str, str]]:
    """Which container each service runs in, and since when."""
    return {
        name: (one.id, one.attrs["State"]["StartedAt"])
        for name, one in containers(engine, stack).items()
    }


def test_again_changes_nothing(engine: Any, reference: Project) -> None:
    before = started(engine, "pytest")
    again = reference.up()
    assert again.status == 0, again.output
    assert "unchanged" in again.output
    for word in ("created", "updated", "replaced", "deleted"):
        assert word not in again.output, again.output
    assert started(engine, "pytest") == before


def test_a_rotated_password_replaces_what_uses_it(engine: Any, reference: Project) -> None:
    before = started(engine, "pytest")
    reference.settings = {**reference.settings, "secretGenerations": GENERATIONS}
    reference.configure(reference.settings)
    up = reference.up()
    assert up.status == 0, up.output
    after = started(engine, "pytest")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        *("redis", "postgres", "rabbitmq", "api", "worker"),
        *("redis-exporter", "postgres-exporter"),
    }
    # The API is healthy only if PostgreSQL and RabbitMQ take the new passwords.
    api = containers(engine)["api"]
    until(lambda: api.reload() or api.attrs["State"]["Health"]["Status"] == "healthy", "healthy")


def test_a_stopped_container_is_started(engine: Any, reference: Project) -> None:
    containers(engine)["worker"].stop()
    assert "worker" not in containers(engine)
    up = reference.up()
    assert up.status == 0, up.output
    assert "starting strata-pytest-worker-1: it does not run (exited)" in up.output
    assert "worker" in containers(engine)


def test_a_removed_container_is_created_again(engine: Any, reference: Project) -> None:
    containers(engine)["redis"].remove(force=True)
    up = reference.up()
    assert up.status == 0, up.output
    assert "No longer in Docker, created again: strata-pytest-redis-1" in up.output
    assert "redis" in containers(engine)


@pytest.fixture
def own(engine: Any, tmp_path: Path) -> Any:
    """A small stack of a test's own: a datastore and its client."""
    remove(engine, "pytest-own")
    project = Project(
        tmp_path / "project",
        "pytest-own",
        {"system": "pair", "ports": {"http": free_port(), "https": free_port()}},
        systems=TEST_SYSTEMS,
    )
    yield project
    project.run("cancel", "--yes")
    project.destroy()
    remove(engine, "pytest-own")


@pytest.mark.fault(
    "the first `up` is killed (SIGKILL) once it has networks, one container or all containers",
    holds="the next `up` completes it",
)
@pytest.mark.parametrize("moment", ["networks", "containers", "end"])
def test_an_update_killed_at_any_moment_is_repaired(engine: Any, own: Project, moment: str) -> None:
    label = {"label": "strata.stack=pytest-own"}
    reached = {
        "networks": lambda: engine.networks.list(filters=label),
        "containers": lambda: engine.api.containers(filters=label),
        "end": lambda: len(engine.api.containers(filters=label)) >= 2,
    }[moment]
    update = own.start("up", "--yes", "--skip-preview")
    until(reached, f"the update has reached {moment}")
    # All of its processes at once, as a host that loses its power does.
    os.killpg(update.pid, signal.SIGKILL)
    update.wait()
    repaired = own.up()
    assert repaired.status == 0, repaired.output
    running = engine.containers.list(filters=label)
    assert sorted(one.labels["strata.service"] for one in running) == ["client", "server"]
    again = own.up()
    assert "created" not in again.output, again.output


KILLS = int(os.environ.get(KILLS_VARIABLE, "1"))
LESS_AND_MORE: tuple[dict[str, dict[str, int]], ...] = (
    {"server": {"replicas": 2}, "client": {"memoryMib": 96}},
    {},
)
"""The settings of services in turn, so that each update adds, changes or removes containers."""


@pytest.mark.fault(
    "`up`, an update or `destroy` is killed (SIGKILL) at a random moment",
    holds="the same command completes when it is run again",
)
@pytest.mark.parametrize("killed", ["up", "update", "destroy"])
def test_a_command_killed_at_a_random_moment(engine: Any, own: Project, killed: str) -> None:
    settings = dict(own.settings)
    label = {"label": "strata.stack=pytest-own"}
    seconds = 5.0
    for number in range(KILLS):
        # The same moments in each run of the test.
        after = random.Random(number).uniform(0, seconds)  # noqa: S311
        if killed != "up":
            own.configure(settings)
            assert own.up().status == 0
        if killed == "update":
            own.configure({**settings, "services": LESS_AND_MORE[number % 2]})
        command = own.start("destroy" if killed == "destroy" else "up", "--yes", "--skip-preview")
        with suppress(subprocess.TimeoutExpired):
            command.wait(after)
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()

        begin = time.monotonic()
        repaired = own.destroy() if killed == "destroy" else own.up()
        assert repaired.status == 0, f"killed after {after:.2f} s: {repaired.output}"
        if killed == "destroy":
            assert engine.containers.list(all=True, filters=label) == []
            assert engine.networks.list(filters=label) == []
            continue
        again = own.up()
        assert again.status == 0, again.output
        assert not {"created", "updated", "replaced", "deleted"} & set(again.output.split())
        if killed == "up":
            seconds = time.monotonic() - begin
            assert own.destroy().status == 0


@pytest.mark.fault(
    "two `up` at once", holds="the second changes nothing and says which process has the stack"
)
def test_two_updates_at_once(own: Project) -> None:
    first = own.start("up", "--yes", "--skip-preview")
    try:
        until(lambda: list(own.state.glob(".pulumi/locks/*/*/*/*.json")), "the stack is locked")
        first.send_signal(signal.SIGSTOP)
        second = own.up()
    finally:
        first.send_signal(signal.SIGCONT)
        output, _ = first.communicate(timeout=120)
    assert first.returncode == 0, output
    assert second.status != 0, second.output
    assert "the stack is currently locked" in second.output, second.output
    assert f"(pid {first.pid})" in second.output, second.output
    again = own.up()
    assert "created" not in again.output, again.output


def test_destroy_leaves_nothing(engine: Any, own: Project) -> None:
    assert own.up().status == 0
    destroyed = own.destroy()
    assert destroyed.status == 0, destroyed.output
    label = {"label": "strata.stack=pytest-own"}
    assert engine.containers.list(all=True, filters=label) == []
    assert engine.networks.list(filters=label) == []
    assert engine.volumes.list(filters=label) == []
