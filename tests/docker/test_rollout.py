"""A service with replicas is updated without a failed request, and a broken update stops in time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from strata.model import MIN_READY_SECONDS
from tests.project import Project
from tests.wait import until

API = {"label": ["strata.stack=pytest", "strata.service=api"]}
CLIENTS, REQUESTS_PER_SECOND = 4, 20


@dataclass
class Load:
    """What requests at a constant rate were answered, and which replicas ran meanwhile.

    `running`: each set of containers, in order, with the time when it was first seen.
    """

    answers: list[int | str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    healthy: list[int] = field(default_factory=list)
    running: list[tuple[set[str], float]] = field(default_factory=list)

    @property
    def failures(self) -> list[int | str]:
        return [answer for answer in self.answers if answer != 200]


@contextmanager
def load(engine: Any, url: str) -> Iterator[Load]:
    """Requests that read from the database, until the end of the block."""
    seen, ended = Load(), threading.Event()

    def request() -> None:
        with httpx.Client(timeout=30) as client:
            while not ended.wait(CLIENTS / REQUESTS_PER_SECOND):
                sent = time.monotonic()
                try:
                    seen.answers.append(client.get(url).status_code)
                except httpx.HTTPError as error:
                    seen.answers.append(repr(error))
                seen.slowest_seconds = max(seen.slowest_seconds, time.monotonic() - sent)

    def watch() -> None:
        while not ended.wait(0.2):
            listed = engine.api.containers(filters=API)
            now = {each["Id"] for each in listed}
            if not seen.running or seen.running[-1][0] != now:
                seen.running.append((now, time.monotonic()))
            seen.healthy.append(sum("(healthy)" in each["Status"] for each in listed))

    threads = [threading.Thread(target=target) for target in (watch, *[request] * CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def replicas(engine: Any) -> dict[str, str]:
    """The running containers of the API, by host name."""
    return {
        each.attrs["Config"]["Hostname"]: each.id for each in engine.containers.list(filters=API)
    }


def configure(project: Project, **api: Any) -> None:
    # Two replicas fit a host with two cores.
    services = {**project.settings.get("services", {}), "api": {"cpuReserved": 0.1, **api}}
    project.configure({**project.settings, "services": services})


@pytest.fixture(scope="module")
def scaled(engine: Any, reference: Project, gateway: httpx.Client) -> Iterator[dict[str, str]]:
    """The reference system with two replicas of the API. Gives the replicas as they were before."""
    gateway.post("/documents", json={"id": "rollout", "text": "A text to read."})
    until(
        lambda: gateway.get("/documents/rollout").json().get("status") == "stored", "it is stored"
    )
    before = replicas(engine)
    configure(reference, replicas=2)
    up = reference.up()
    assert up.status == 0, up.output
    yield before
    reference.configure(reference.settings)
    up = reference.up()
    assert up.status == 0, up.output
    assert replicas(engine).keys() == {"api-1"}


def test_another_replica_leaves_the_first_alone(engine: Any, scaled: dict[str, str]) -> None:
    assert scaled.keys() == {"api-1"}
    after = replicas(engine)
    assert after.keys() == {"api-1", "api-2"}
    assert after["api-1"] == scaled["api-1"]


def test_an_update_of_all_replicas_fails_no_request(
    engine: Any, reference: Project, gateway: httpx.Client, scaled: dict[str, str]
) -> None:
    assert scaled
    before = replicas(engine)
    configure(reference, replicas=2, environment={"ROLLOUT": "another value"})
    with load(engine, f"{gateway.base_url}/documents/rollout") as seen:
        up = reference.up()
    assert up.status == 0, up.output
    assert len(seen.answers) > 200
    assert seen.failures == [], seen
    assert min(seen.healthy) >= 1
    old, new = [before["api-1"], before["api-2"]], replicas(engine)
    assert new.keys() == before.keys()
    assert [containers for containers, _ in seen.running] == [
        {*old},
        {*old, new["api-1"]},
        {old[1], new["api-1"]},
        {old[1], new["api-1"], new["api-2"]},
        {new["api-1"], new["api-2"]},
    ]
    times = [moment for _, moment in seen.running]
    for started, replaced in (times[1:3], times[3:5]):
        assert replaced - started >= MIN_READY_SECONDS
    print(f"{len(seen.answers)} requests, the slowest took {seen.slowest_seconds:.2f} s")
    again = reference.run("preview", "--expect-no-changes")
    assert again.status == 0, again.output


def test_an_update_that_breaks_the_service_stops_at_the_first_replica(
    engine: Any, reference: Project, gateway: httpx.Client, scaled: dict[str, str]
) -> None:
    assert scaled
    before = replicas(engine)
    configure(reference, replicas=2, environment={"DATABASE_PORT": "none"})
    with load(engine, f"{gateway.base_url}/documents/rollout") as seen:
        broken = reference.up()
    assert broken.status != 0, broken.output
    assert "strata-pytest-api-1: exited" in broken.output, broken.output
    assert "DATABASE_PORT" in broken.output
    assert {*before.values()} <= {each.id for each in engine.containers.list(filters=API)}
    assert seen.failures == [], seen
