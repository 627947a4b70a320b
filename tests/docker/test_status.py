"""The commands for every day on a running stack: `strata status`, `logs`, `top`, `restart` and others."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from strata.errors import InvalidStackError
from strata.ops import status
from strata.ops.docker.containers import Containers
from strata.ops.docker.logs import DockerLogs
from strata.ops.docker.status import status as read_status
from strata.ops.logs import Line, Selection
from tests.docker.conftest import health
from tests.docker.operations import following
from tests.project import Project
from tests.wait import until


def test_it_shows_what_runs_and_what_does_not(engine: Any, reference: Project) -> None:
    own = Containers(client=engine, project="strata", stack=reference.stack)

    def now() -> status.Status:
        return read_status(own, {"api": 1})

    def measured() -> bool:
        return all(each.is_healthy and each.memory_mib for each in now().containers)

    until(measured, "all is healthy, and measured")
    found = now()
    assert found.alerts_problem == ""
    by_name = {each.name: each for each in found.containers}
    assert {each.service for each in found.containers} >= {"api", "gateway", "prometheus"}
    api = by_name["strata-pytest-api-1"]
    assert (api.state, api.memory_limit_mib, api.cores_limit) == ("healthy", 256, 1)
    assert api.memory_mib is not None
    assert 0 < api.memory_mib < api.memory_limit_mib
    assert any(url.startswith("https://") for url in by_name["strata-pytest-gateway-1"].urls)
    assert found.dashboards is not None
    engine.containers.get(api.name).stop()
    try:
        stopped = now()
        assert not stopped.is_healthy
        assert json.loads(json.dumps(stopped.as_json()))["healthy"] is False
        assert any("strata-pytest-api-1" in line and "exited" in line for line in lines(stopped))
        until(
            lambda: "ContainerDown" in {each.name for each in now().alerts},
            "the alert is shown",
            90,
        )
    finally:
        engine.containers.get(api.name).start()
    until(lambda: now().is_healthy, "all is healthy again")
    two = read_status(own, {"api": 2})
    assert not two.is_healthy
    assert [each.state for each in two.containers if each.name == "api"] == ["missing"]


def lines(found: status.Status) -> list[str]:
    return list(status.lines(found))


def test_the_logs_of_services_until_now_and_after_a_restart(
    engine: Any, reference: Project
) -> None:
    own = Containers(client=engine, project="strata", stack=reference.stack)

    def of(*services: str) -> DockerLogs:
        return DockerLogs(own=own, selection=Selection(services=services))

    every = list(of().past())
    assert {line.source for line in every} >= {"api-1", "worker-1", "postgres-1"}
    # Docker writes lines that arrive at the same time in any order: compare seconds.
    seconds = [line.time[:19] for line in every]
    assert seconds == sorted(seconds)
    followed: list[Line] = []
    Thread(target=of("api", "worker").follow, args=(followed.append,), daemon=True).start()
    until(lambda: {"api-1", "worker-1"} == {line.source for line in followed}, "both are followed")
    api = engine.containers.get("strata-pytest-api-1")
    api.restart()
    until(lambda: health(api) == "healthy", "the API is healthy again")
    until(lambda: set(of("api").past()) <= set(followed), "the restarted service is followed")
    assert len(set(followed)) == len(followed)
    with pytest.raises(InvalidStackError, match="has no service nobody"):
        of("api", "nobody")


def strata(
    project: Project, command: str, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a command on the stack of the project, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "strata", command, "--stack", project.stack, *arguments],
        cwd=project.folder,
        env=project.environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_state_is_refreshed_until_it_is_interrupted(engine: Any, reference: Project) -> None:
    api = engine.containers.get("strata-pytest-api-1")
    with following(reference, "status", "--stack", reference.stack, "--watch") as (watching, shown):

        def state() -> str:
            """That of the API, in the last frame."""
            return next((line.split()[1] for line in reversed(shown) if api.name in line), "")

        until(lambda: state() == "healthy", "a first frame")
        api.pause()
        try:
            until(lambda: state() == "paused", "a frame after the change")
        finally:
            api.unpause()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 130


def test_what_the_containers_use_now(reference: Project) -> None:
    done = strata(reference, "top", "api", "postgres")
    assert done.returncode == 0, done.stderr
    head, *rows, _, total = done.stdout.splitlines()
    assert head.split() == ["CONTAINER", "MEMORY,", "MIB", "USED", "CORES", "PROCESSES"]
    assert {row.split()[0] for row in rows} == {"api-1", "postgres-1"}
    for row in rows:
        _, memory, _, limit, _, cores, _, cores_limit, processes = row.split()
        assert 0 < float(memory) <= float(limit)
        assert 0 <= float(cores) <= 2 * float(cores_limit)
        assert int(processes) >= 1
    assert total.startswith("2 containers: ")


def test_services_restart_in_start_order_and_are_healthy(engine: Any, reference: Project) -> None:
    names = ("strata-pytest-redis-1", "strata-pytest-api-1", "strata-pytest-worker-1")

    def started() -> dict[str, str]:
        return {name: engine.containers.get(name).attrs["State"]["StartedAt"] for name in names}

    before = started()
    done = strata(reference, "restart", "api", "redis")
    assert done.returncode == 0, done.stderr
    redis, api, worker = names
    after = started()
    assert before[worker] == after[worker]
    assert before[redis] < after[redis] < after[api]
    # Docker itself checks it only some seconds later.
    container = engine.containers.get(api)
    check = container.attrs["Config"]["Healthcheck"]["Test"][1:]
    assert container.exec_run(check).exit_code == 0
    assert "restarted 2 containers of pytest" in done.stdout
    again = strata(reference, "restart", "api", "nobody")
    assert (again.returncode, started()) == (1, after)
    assert "stack pytest: has no service nobody" in again.stderr
    until(lambda: health(container) == "healthy", "Docker finds it healthy")


def test_a_shell_or_a_command_in_a_container(reference: Project) -> None:
    done = strata(reference, "shell", "api", text="id -u; cat /etc/hostname; exit 3")
    assert (done.returncode, done.stdout.split()) == (3, ["10001", "api-1"]), done.stderr
    done = strata(reference, "shell", "postgres-1", "--", "psql", "--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "psql"), done.stderr
    done = strata(reference, "shell", "nobody")
    assert done.returncode == 1
    assert "has no service nobody" in done.stderr


def test_the_urls_are_those_of_the_stack(reference: Project) -> None:
    urls = reference.outputs()["urls"]
    done = strata(reference, "open", "--print")
    assert done.returncode == 0, done.stderr
    shown = dict(line.split() for line in done.stdout.splitlines())
    assert list(shown) == ["gateway", "gateway-https", "dashboards", "logs"]
    assert shown["gateway"] == urls["gateway"]
    assert shown["dashboards"].startswith(urls["prometheus"])
    done = strata(reference, "open", "--print", "logs")
    assert done.stdout.split() == ["logs", shown["logs"]]


def test_the_doctor_reports_what_is_wrong_and_what_is_fine(reference: Project) -> None:
    passphrase = Path(reference.environment["PULUMI_CONFIG_PASSPHRASE_FILE"])
    seed = Path(reference.environment["STRATA_SEED_FILE"])
    for path, mode in ((passphrase, 0o600), (reference.state, 0o700), (seed, 0o644)):
        path.chmod(mode)
    done = strata(reference, "doctor")
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert [line for line in lines if line.startswith("problem")] == [
        f"problem  Seed: {seed}: other users can access it (mode 0644)"
    ]
    assert f"run: chmod go= {seed}" in done.stdout
    # The kernel of a machine may have what engines recommend.
    assert {line.split()[1] for line in lines if line.startswith("ok")} - {"Kernel:"} == {
        *("Pulumi:", "Backend:", "Passphrase:", "State:", "Stack:"),
        *("Docker:", "Memory:", "Cores:", "Disk:", "Ports:", "GPU:"),
    }
    assert lines[-1] == "pytest: 1 problem"
