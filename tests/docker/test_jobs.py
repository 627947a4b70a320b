"""Jobs, and what is prepared for a service: run to their end before it starts, and only if need be."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from strata.model import InvalidStackError
from strata.ops.running_stack import RunningStack
from strata.platforms.docker.names import ResourceNames
from tests.docker.conftest import remove
from tests.project import REPOSITORY, TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-jobs"
PACK = REPOSITORY / "policies"
LEVELS = ("--policy-pack-config", str(PACK / "dev.json"))
LABEL = {"label": f"strata.stack={STACK}"}
APP, MIGRATE, NIGHTLY, PREPARE = (
    f"strata-{STACK}-{name}" for name in ("app-1", "migrate-1", "nightly-1", "app-1-prepare")
)


@pytest.fixture
def jobs(engine: Any, tmp_path: Path) -> Iterator[Project]:
    """The test system `jobs`, not up yet."""
    remove(engine, STACK)
    systems = tmp_path / "systems"
    shutil.copytree(TEST_SYSTEMS, systems)
    project = Project(tmp_path / "project", STACK, {"system": "jobs.well"}, systems=systems)
    yield project
    project.run("cancel", "--yes")
    destroyed = project.destroy()
    left = engine.containers.list(all=True, filters=LABEL)
    remove(engine, STACK)
    assert destroyed.status == 0, destroyed.output
    assert left == []


def become(project: Project, system: str) -> None:
    project.configure({"system": f"jobs.{system}"})


def edit(project: Project, old: str, new: str) -> None:
    """Changes the system's program."""
    program = project.systems / "jobs.py"
    text = program.read_text()
    assert text.count(old) == 1
    program.write_text(text.replace(old, new))


def is_there(engine: Any, name: str) -> bool:
    found = engine.api.containers(all=True, filters=LABEL)
    return any(f"/{name}" in one["Names"] for one in found)


def states(engine: Any) -> dict[str, dict[str, Any]]:
    """Which containers the stack has, and when each ran, by name."""
    found = engine.containers.list(all=True, filters=LABEL)
    told = ("Status", "Running", "ExitCode", "StartedAt", "FinishedAt")
    return {
        one.name: {"Id": one.id, **{key: one.attrs["State"][key] for key in told}} for one in found
    }


def log(engine: Any, name: str) -> str:
    said: str = engine.containers.get(name).logs().decode()
    return said


def inside(engine: Any, command: str) -> str:
    status, output = engine.containers.get(APP).exec_run(["bash", "-c", command])
    assert status == 0, output
    text: str = output.decode().strip()
    return text


def test_a_service_starts_after_its_jobs_and_again_changes_nothing(
    engine: Any, jobs: Project
) -> None:
    up = jobs.up()
    assert up.status == 0, up.output
    first = states(engine)
    # The job reached the server that it links to, had its file, and was over before the service
    # started; so was what fills the cache that the service reads, which had no GPU.
    assert log(engine, MIGRATE).splitlines() == ["server: 200, secret: 43", "migrated to 1"]
    for name in (MIGRATE, PREPARE):
        assert (first[name]["Status"], first[name]["ExitCode"]) == ("exited", 0)
        assert first[name]["FinishedAt"] < first[APP]["StartedAt"]
    assert inside(engine, "cat /cache/fetched /cache/model").split() == ["void", "first"]
    assert engine.containers.get(APP).attrs["State"]["Running"]

    # The one with a schedule was never started; what is said runs it.
    assert first[NIGHTLY]["Status"] == "created"
    assert engine.containers.get(NIGHTLY).labels["strata.schedule"] == "0 3 * * *"
    assert f"docker start --attach {NIGHTLY}" in up.output
    done = subprocess.run(
        ["docker", "start", "--attach", NIGHTLY], capture_output=True, text=True, check=True
    )
    assert done.stdout == "a report\n"

    # No backup takes what can be had again.
    (cache,) = engine.volumes.list(filters={"label": [f"strata.stack={STACK}", "strata.service"]})
    assert "strata.backup" not in cache.attrs["Labels"]
    owner = cache.attrs["Labels"]["strata.owner"]
    names = ResourceNames(project="strata", stack=STACK, system="jobs.well", owner=owner)
    with pytest.raises(InvalidStackError, match="has no volume with data"):
        RunningStack(engine, names).services()

    before = states(engine)
    for arguments in ((), ("--refresh",)):
        again = jobs.run("up", "--yes", "--skip-preview", *arguments)
        assert again.status == 0, again.output
        for word in ("created", "updated", "replaced", "deleted", "run again"):
            assert word not in again.output, again.output
    assert states(engine) == before
    # A preview runs nothing; and what is hardened by default is so for jobs.
    preview = jobs.run("preview", "--policy-pack", str(PACK / "docker-hardening"), *LEVELS)
    assert preview.status == 0, preview.output
    assert "[mandatory]" not in preview.output, preview.output
    assert states(engine) == before


def test_a_change_runs_what_it_changes(engine: Any, jobs: Project) -> None:
    assert jobs.up().status == 0
    first = states(engine)

    edit(jobs, "migrated to 1", "migrated to 2")
    up = jobs.up()
    assert up.status == 0, up.output
    second = states(engine)
    assert log(engine, MIGRATE).splitlines()[-1] == "migrated to 2"
    assert {name for name in first if first[name]["Id"] != second[name]["Id"]} == {MIGRATE}

    edit(jobs, "echo first", "echo second")
    assert jobs.up().status == 0
    third = states(engine)
    changed = {name for name in first if second[name]["Id"] != third[name]["Id"]}
    assert changed == {PREPARE, APP}, "a service reads what was prepared anew"
    assert inside(engine, "cat /cache/model") == "second"

    # Limits can be changed in place, but then nothing would run.
    jobs.configure({**jobs.settings, "services": {"migrate": {"memoryMib": 96}}})
    assert jobs.up().status == 0
    fourth = states(engine)
    assert {name for name in first if third[name]["Id"] != fourth[name]["Id"]} == {MIGRATE}
    assert (fourth[MIGRATE]["Status"], fourth[MIGRATE]["ExitCode"]) == ("exited", 0)


@pytest.mark.parametrize(
    ("system", "says"),
    [
        pytest.param(
            "failing",
            [
                f"{MIGRATE}: exited with status 3; starting it again",
                f"{MIGRATE}: exited with status 3 (attempt 2 of 2)",
                "the table is locked",
            ],
            id="fails",
        ),
        pytest.param(
            "hanging",
            [
                f"{MIGRATE}: did not exit within 3 s and was killed; starting it again",
                f"{MIGRATE}: did not exit within 3 s and was killed (attempt 2 of 2)",
                "waiting for a lock",
            ],
            id="never ends",
        ),
    ],
)
def test_a_job_that_fails_fails_the_update_and_the_next_one_repairs(
    engine: Any, jobs: Project, system: str, says: list[str]
) -> None:
    become(jobs, system)
    for _ in range(2):  # A failure is no state to get stuck in: it is tried as often again.
        start = time.monotonic()
        up = jobs.up()
        assert up.status != 0, up.output
        assert time.monotonic() - start < 60
        for words in (*says, f"docker logs {MIGRATE}"):
            assert words in up.output, up.output
        assert "Traceback" not in up.output, up.output
        assert not states(engine)[MIGRATE]["Running"]
        assert APP not in states(engine), "its job never ended well"
    become(jobs, "well")
    repaired = jobs.up()
    assert repaired.status == 0, repaired.output
    assert states(engine)[APP]["Running"]


@pytest.mark.parametrize("container", [MIGRATE, PREPARE])
def test_an_update_killed_while_it_waits_is_repaired(
    engine: Any, jobs: Project, container: str
) -> None:
    update = jobs.start("up", "--yes", "--skip-preview")
    until(lambda: is_there(engine, container), f"{container} is there")
    # All of its processes at once, as a host that loses its power does.
    os.killpg(update.pid, signal.SIGKILL)
    update.wait()
    repaired = jobs.up()
    assert repaired.status == 0, repaired.output
    found = states(engine)
    assert found[APP]["Running"]
    for name in (MIGRATE, PREPARE):
        assert (found[name]["Status"], found[name]["ExitCode"]) == ("exited", 0)
        assert found[name]["FinishedAt"] < found[APP]["StartedAt"]
    again = jobs.up()
    assert again.status == 0, again.output
    assert "created" not in again.output, again.output
