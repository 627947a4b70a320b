"""What an update shows while it waits for a service that isn't healthy."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from strata.errors import NotReadyError
from strata.model import ExecProbe, Probe
from strata.platforms.docker import waiters
from strata.platforms.docker.waiters import HealthWaiter

RUNNING = {"Status": "running", "Running": True, "ExitCode": 0}
EXITING = {"Status": "restarting", "Running": True, "Restarting": True, "ExitCode": 3}
PROBE = Probe(check=ExecProbe(command=("check",)), ready_within_seconds=35)


class Engine:
    """An engine with one container, which is healthy after `healthy_after` checks."""

    def __init__(self, state: dict[str, Any], log: str, healthy_after: int = 1000) -> None:
        self._state, self._log, self._left = state, log, healthy_after

    @property
    def api(self) -> "Engine":
        return self

    def inspect_container(self, _: str) -> dict[str, Any]:
        return {"State": self._state, "RestartCount": 0, "NetworkSettings": {"Networks": {}}}

    def logs(self, _: str, tail: int) -> bytes:
        return "".join(self._log.splitlines(keepends=True)[-tail:]).encode()

    def check(self) -> str:
        self._left -= 1
        return "" if self._left < 0 else "trying\nconnection refused\n"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is shown, on a clock of the test's own."""
    messages: list[str] = []
    clock = SimpleNamespace(now=0.0)

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    def info(message: str, *, ephemeral: bool) -> None:
        assert ephemeral
        messages.append(message)

    monkeypatch.setattr("asyncio.sleep", sleep)
    monkeypatch.setattr(waiters, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(pulumi.log, "info", info)
    return messages


def wait(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HealthWaiter, "_exec", lambda *_: engine.check())
    asyncio.run(HealthWaiter(engine).wait("id", "strata-dev-api-1", PROBE, ("check",)))


@pytest.mark.parametrize(
    ("state", "log", "reason"),
    [
        (
            RUNNING,
            "starting\nno module named api\n",
            "its health check: connection refused; end of its log: no module named api",
        ),
        (RUNNING, "", "its health check: connection refused"),
        (EXITING, "no such file\n", "exited with status 3; end of its log: no such file"),
        (
            {**EXITING, "OOMKilled": True, "ExitCode": 137},
            "",
            "exited with status 137 (out of memory)",
        ),
    ],
)
def test_the_reason_is_shown_every_ten_seconds(
    state: dict[str, Any],
    log: str,
    reason: str,
    shown: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(NotReadyError, match="was not healthy within 35 s"):
        wait(Engine(state, log), monkeypatch)
    assert shown == [
        f"strata-dev-api-1: not healthy after {seconds} s: {reason}" for seconds in (10, 20, 30)
    ]


def test_nothing_is_shown_for_a_service_that_is_soon_healthy(
    shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(Engine(RUNNING, "", healthy_after=10), monkeypatch)
    assert shown == []
