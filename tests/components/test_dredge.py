"""The profiles of dredge: what runs with each, and what its clients know of the rest."""

import pytest

from strata.collect import collect
from strata.model import Composition
from systems import dredge
from tests.documents.plan import settings

PARTS = {"redis", "server", "mcp", "worker", "gateway"}


def composed(*profiles: str) -> Composition:
    composition = collect(dredge.compose, settings({"profiles": profiles}))
    assert not list(composition.problems())
    return composition


def running(*profiles: str) -> set[str]:
    return {each.name for each in composed(*profiles).workloads}


@pytest.mark.parametrize(
    ("profiles", "parts"),
    [
        (("cpu",), {"redis", "server"}),
        (("gpu",), {"redis", "mcp"}),
        (("workers",), {"worker"}),
        (("monitoring",), set()),
        (("proxy",), {"gateway"}),
        (("cpu", "proxy"), {"redis", "server", "gateway"}),
        (("full",), PARTS),
        ((), PARTS),
        (("traces",), PARTS),
    ],
)
def test_a_profile_has_the_parts_that_the_document_says(
    profiles: tuple[str, ...], parts: set[str]
) -> None:
    assert running(*profiles) & PARTS == parts


def test_monitoring_observes_what_runs() -> None:
    assert "prometheus" in running("monitoring") & running("full") & running()
    assert running("cpu", "proxy") == {"redis", "server", "gateway"}
    assert "redis-exporter" in running("cpu", "monitoring")
    assert "redis-exporter" not in running("monitoring")


@pytest.mark.parametrize(
    ("profiles", "has_grafana"), [((), True), (("full",), True), (("cpu", "proxy"), False)]
)
def test_the_gateway_has_dashboards_only_with_monitoring(
    profiles: tuple[str, ...], has_grafana: bool
) -> None:
    given = {"profiles": profiles, "platform": "kubernetes"}
    composition = collect(dredge.compose, settings(given))
    assert not list(composition.problems())
    services = {each.name: each for each in composition.services}
    assert ("grafana" in services) is has_grafana
    linked = {link.service for link in services["gateway"].links}
    assert ("grafana" in linked) is has_grafana


def test_a_client_gets_nothing_of_a_part_that_does_not_run() -> None:
    services = {each.name: each for each in composed("cpu", "proxy").services}
    assert "MCP_URL" not in services["server"].environment
    assert {link.service for link in services["gateway"].links} == {"server"}
    assert services["server"].environment["REDIS_HOST"]
    (worker,) = composed("workers").services
    assert not {"REDIS_HOST", "MCP_URL"} & set(worker.environment)
    assert worker.files == ()


def test_an_unknown_profile_is_reported_with_the_known_ones() -> None:
    composition = collect(dredge.compose, settings({"profiles": ["cpuu"]}))
    (problem,) = composition.problems()
    assert (problem.path, problem.message) == (
        "strata:profiles",
        "the system has no profile cpuu",
    )
    assert problem.fix == "use one of: cpu, full, gpu, monitoring, proxy, traces, workers"
