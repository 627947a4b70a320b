"""`strata status` on a running stack."""

import json
from typing import Any

from strata.ops import status
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
