"""A container that stays unhealthy is restarted, without anyone who watches it."""

import os
import signal
from typing import Any

import pytest

from tests.docker.conftest import containers, remove
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-supervised"


@pytest.mark.fault(
    "a server hangs (SIGSTOP) and nobody looks",
    holds="it is restarted by its own health check",
)
def test_a_server_that_hangs_is_restarted(
    engine: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    remove(engine, STACK)
    folder = tmp_path_factory.mktemp("supervised") / "project"
    project = Project(folder, STACK, {"system": "supervised"}, systems=TEST_SYSTEMS)
    try:
        up = project.up()
        assert up.status == 0, up.output
        server = containers(engine, STACK)["server"]
        state = server.attrs["State"]
        for process in server.top()["Processes"]:
            if process[1] != str(
                state["Pid"]
            ):  # The init forwards signals, and ends with its child.
                os.kill(int(process[1]), signal.SIGSTOP)

        def health() -> tuple[bool, str]:
            server.reload()
            now = server.attrs["State"]
            return now["StartedAt"] != state["StartedAt"], now["Health"]["Status"]

        until(lambda: health() == (False, "unhealthy"), "it is unhealthy, and not yet restarted")
        until(lambda: health() == (True, "healthy"), "it is restarted, and healthy", seconds=90)
        assert server.attrs["RestartCount"] == 1
        # No trace of the failures is left to restart it again.
        status, output = server.exec_run(["ls", "/dev/shm"])
        assert (status, output) == (0, b"")
    finally:
        destroyed = project.destroy()
        remove(engine, STACK)
    assert destroyed.status == 0, destroyed.output
