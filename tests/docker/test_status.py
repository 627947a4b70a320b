"""`strata status` and `strata logs` on a running stack."""

import json
from threading import Thread
from typing import Any

import pytest

from strata.errors import InvalidStackError
from strata.ops import status
from strata.ops.logs import Line, Logs
from tests.docker.conftest import health
from tests.project import Project
from tests.wait import until


def test_it_shows_what_runs_and_what_does_not(engine: Any, reference: Project) -> None:
    def now() -> status.Status:
        return status.status(engine, "strata", reference.stack, {"api": 1})

    def measured() -> bool:
        return all(each.is_healthy and each.memory_mib for each in now().containers)

    until(measured, "all is healthy, and measured")
    found = now()
    assert found.metrics_problem == ""
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
    two = status.status(engine, "strata", reference.stack, {"api": 2})
    assert not two.is_healthy
    assert [each.state for each in two.containers if each.name == "api"] == ["missing"]


def lines(found: status.Status) -> list[str]:
    return list(status.lines(found))


def test_the_logs_of_services_until_now_and_after_a_restart(
    engine: Any, reference: Project
) -> None:
    def of(*services: str) -> Logs:
        return Logs(client=engine, project="strata", stack=reference.stack, services=services)

    every = list(of().past())
    assert {line.source for line in every} >= {"api-1", "worker-1", "postgres-1"}
    assert every == sorted(every, key=lambda line: line.time)
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
