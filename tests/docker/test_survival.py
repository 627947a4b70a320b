"""A document that was answered 202 is never lost, whatever happens to the containers."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docker.conftest import containers, health
from tests.faults import ACKNOWLEDGED, RECOVERY_SECONDS
from tests.project import Project
from tests.wait import until

SERVICES = ("gateway", "api", "rabbitmq", "worker", "inference", "postgres", "redis")
ENOUGH_ACCEPTED = 25
"""Documents that must be accepted after the kill before posting ends."""


class Poster(threading.Thread):
    """Posts one document after the other, and keeps the ledger of those that were accepted."""

    def __init__(self, base_url: str, name: str) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.enough = threading.Event()
        self._base_url = base_url
        self._prefix = name

    def run(self) -> None:
        with httpx.Client(base_url=self._base_url, timeout=10) as client:
            number = 0
            # Bounded in count: at most this many requests are ever made.
            while not self.enough.is_set() and number < 5000:
                number += 1
                identifier = f"{self._prefix}-{number}"
                body = {"id": identifier, "text": f"Document {number} of {self._prefix}."}
                try:
                    answer = client.post("/documents", json=body)
                except httpx.TransportError:
                    self.enough.wait(0.05)
                    continue
                if answer.status_code == 202:
                    self.accepted.append(identifier)
                else:
                    assert answer.status_code in (429, 500, 502, 503, 504), answer.text
                    self.enough.wait(0.05)


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
        already = len(poster.accepted)
        until(
            lambda: len(poster.accepted) >= already + ENOUGH_ACCEPTED,
            "documents are accepted again",
            90,
        )
        record_property(RECOVERY_SECONDS, time.monotonic() - begin)
        poster.enough.set()
        poster.join()

        def missing() -> list[str]:
            states = {one: _status(gateway, one) for one in waiting}
            waiting[:] = [one for one in waiting if states[one] != "stored"]
            return waiting

        waiting = list(poster.accepted)
        until(lambda: not missing(), f"all {len(poster.accepted)} accepted are stored", seconds=120)
        record_property(ACKNOWLEDGED, len(poster.accepted))

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


def _status(gateway: httpx.Client, identifier: str) -> str:
    answer = gateway.get(f"/documents/{identifier}")
    return str(answer.json()["status"]) if answer.status_code == 200 else f"{answer.status_code}"
