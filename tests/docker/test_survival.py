"""A document that was answered 202 is never lost, whichever container is killed."""

import os
import signal
import threading
from typing import Any

import httpx
import pytest

from tests.docker.conftest import containers
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


@pytest.mark.parametrize("killed", SERVICES)
def test_kill(engine: Any, reference: Project, gateway: httpx.Client, killed: str) -> None:
    poster = Poster(reference.outputs()["urls"]["gateway"], f"kill-{killed}")
    poster.start()
    until(lambda: len(poster.accepted) >= 5, "documents are accepted")

    container = containers(engine)[killed]
    first_start = container.attrs["State"]["StartedAt"]
    # The process, not the container: Docker restarts what dies, not what it was told to kill.
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)

    def is_back() -> bool:
        container.reload()
        state = container.attrs["State"]
        return bool(state["StartedAt"] != first_start and state["Health"]["Status"] == "healthy")

    until(is_back, f"{killed} is healthy again", seconds=90)
    already = len(poster.accepted)
    until(
        lambda: len(poster.accepted) >= already + ENOUGH_ACCEPTED,
        "documents are accepted again",
        90,
    )
    poster.enough.set()
    poster.join()

    def missing() -> list[str]:
        states = {one: _status(gateway, one) for one in waiting}
        waiting[:] = [one for one in waiting if states[one] != "stored"]
        return waiting

    waiting = list(poster.accepted)
    until(lambda: not missing(), f"all {len(poster.accepted)} accepted are stored", seconds=120)


def _status(gateway: httpx.Client, identifier: str) -> str:
    answer = gateway.get(f"/documents/{identifier}")
    return str(answer.json()["status"]) if answer.status_code == 200 else f"{answer.status_code}"
