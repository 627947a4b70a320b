"""Documents that are posted while something fails, and whether all that were accepted are stored."""

import threading
from typing import Any

import httpx

from tests.wait import until

ENOUGH_ACCEPTED = 25
"""Documents that must be accepted after a fault before posting ends."""


class Poster(threading.Thread):
    """Posts one document after the other, and keeps the ledger of those that were accepted. `options` of
    `httpx.Client`."""

    def __init__(self, base_url: str, name: str, **options: Any) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self.enough = threading.Event()
        self._client = httpx.Client(base_url=base_url, timeout=10, **options)
        self._prefix = name

    def run(self) -> None:
        with self._client as client:
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

    def until_more_accepted(self, seconds: float) -> None:
        already = len(self.accepted)
        until(
            lambda: len(self.accepted) >= already + ENOUGH_ACCEPTED,
            "documents are accepted again",
            seconds,
        )

    def end(self) -> list[str]:
        """Returns the identifiers of all that were accepted."""
        self.enough.set()
        self.join()
        return self.accepted


def until_stored(gateway: httpx.Client, accepted: list[str]) -> None:
    waiting = list(accepted)

    def missing() -> list[str]:
        states = {one: _status(gateway, one) for one in waiting}
        waiting[:] = [one for one in waiting if states[one] != "stored"]
        return waiting

    until(lambda: not missing(), f"all {len(accepted)} accepted are stored", seconds=120)


def _status(gateway: httpx.Client, identifier: str) -> str:
    answer = gateway.get(f"/documents/{identifier}")
    return str(answer.json()["status"]) if answer.status_code == 200 else f"{answer.status_code}"
