"""A document that was answered 202 is never lost, whatever happens to the containers."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docker.conftest import containers, health
from tests.docker.documents import Poster, until_stored
from tests.faults import ACKNOWLEDGED, RECOVERY_SECONDS
from tests.project import Project
from tests.wait import until

SERVICES = ("gateway", "api", "rabbitmq", "worker", "inference", "postgres", "redis")


@pytest.fixture
def survives(
    engine: Any,
    reference: Project,
    gateway: httpx.Client,
    record_property: Callable[[str, object], None],
) -> Callable[..., None]:
    """Damages services while documents are posted. All services start again, documents are accepted
    again, and all that were accepted are stored."""

    def damaged(services: Sequence[str], damage: Callable[[Any], None], what: str) -> None:
        poster = Poster(reference.outputs()["urls"]["gateway"], f"{what}-{services[0]}")
        poster.start()
        until(lambda: len(poster.accepted) >= 5, "documents are accepted")

        found = containers(engine)
        damaged = [found[service] for service in services]
        first_starts = [container.attrs["State"]["StartedAt"] for container in damaged]
        begin = time.monotonic()
        for container in damaged:
            damage(container)

        def are_back() -> bool:
            return all(
                health(container) == "healthy"
                and container.attrs["State"]["StartedAt"] != first_start
                for container, first_start in zip(damaged, first_starts, strict=True)
            )

        until(are_back, f"{', '.join(services)}: healthy again", seconds=90)
        poster.until_more_accepted(90)
        record_property(RECOVERY_SECONDS, time.monotonic() - begin)
        accepted = poster.end()
        until_stored(gateway, accepted)
        record_property(ACKNOWLEDGED, len(accepted))

    return damaged


def kill(container: Any) -> None:
    # The process, not the container: Docker restarts what dies, not what it was told to kill.
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)


def hit_the_memory_limit(container: Any) -> None:
    """Another process takes all memory, and the kernel kills those of the service for it."""
    for row in container.top()["Processes"]:
        Path(f"/proc/{row[1]}/oom_score_adj").write_text("1000")
    container.exec_run(["tail", "/dev/zero"], detach=True)


@pytest.mark.fault(
    "a service is killed (SIGKILL): gateway, API, broker, worker, inference, database or cache",
    holds="it starts again, documents are accepted again, and each one accepted meanwhile is stored",
)
@pytest.mark.parametrize("killed", SERVICES)
def test_kill(survives: Callable[..., None], killed: str) -> None:
    survives([killed], kill, "kill")


@pytest.mark.fault(
    "all services of a request are killed at once (SIGKILL)",
    holds="they start again, documents are accepted again, and each one accepted meanwhile is stored",
)
def test_kill_all(survives: Callable[..., None]) -> None:
    survives(SERVICES, kill, "kill-all")


@pytest.mark.fault(
    "all services of a request hit their memory limit at once",
    holds="the kernel kills them, they start again, and each document accepted meanwhile is stored",
)
def test_memory_limit(survives: Callable[..., None]) -> None:
    survives(SERVICES, hit_the_memory_limit, "memory")
