"""One cluster for all tests of this folder, and what they counted, shown at the end of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kubernetes import cluster as clusters
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.stack import Stack, furnish, plan, up
from tests.planned import in_containers

COUNTED = pytest.StashKey[list[str]]()
CLUSTER = pytest.StashKey[Cluster]()
SHOWN = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Cluster]:
    """It runs for all of them: each test has its own namespace or nodes in it."""
    with clusters.running(tmp_path_factory.mktemp("control-plane")) as running:
        request.config.stash[CLUSTER] = running
        yield running
        del request.config.stash[CLUSTER]


@pytest.fixture(scope="session")
def counted(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of the run."""
    return request.config.stash.setdefault(COUNTED, [])


@pytest.fixture(scope="session")
def reference(cluster: Cluster, counted: list[str]) -> Stack:
    """The reference system on EKS, all of whose pods run. Its datastores are in containers: here is no
    AWS that runs them."""
    planned = plan({"services": in_containers(), "profiles": ["traces"]})
    furnish(cluster, planned.groups)
    running = up(cluster, planned)
    counted.append(
        f"reference on EKS: {len(running.plan.manifests)} objects applied;"
        f" {len(cluster.all('v1', 'Pod'))} pods run on {len(running.nodes())} nodes"
    )
    return running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Shows what the programs of the cluster said last, at the first failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    running = item.config.stash.get(CLUSTER, None)
    if report.failed and running and not item.config.stash.get(SHOWN, False):
        item.config.stash[SHOWN] = True
        report.sections.append(("the control plane", running.logs()))
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash.get(COUNTED, [])
    if lines:
        terminalreporter.section("Kubernetes")
        for line in lines:
            terminalreporter.write_line(line)
