"""Each further system on EKS, in a control plane of its own: what tests/kubernetes/test_reference.py shows
of the reference system holds for it, and its network is its links."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.documents.table import DOCUMENTS
from tests.kubernetes import cluster as clusters
from tests.kubernetes.network import Network, compare
from tests.kubernetes.stack import Stack, furnish, plan, up
from tests.kubernetes.test_reference import (  # noqa: F401 - they run here too, with this file's stack
    test_again_is_free,
    test_every_namespace_is_restricted_but_one,
    test_every_object_is_of_the_program,
    test_every_pod_is_of_one_workload,
    test_every_pod_runs_and_is_ready,
    test_the_server_warns_of_nothing,
    test_what_a_pod_mounts_is_there,
)
from tests.planned import changes_for

# What its document asks for on a cluster, such as an autoscaler for the server of dredge.
CHANGES = {document.system: document.prod_settings for document in DOCUMENTS}
SYSTEMS = ("dredge", "node_intelligence", "project88", "jimbot", "datapunk")


@pytest.fixture(scope="module", params=SYSTEMS)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, counted: list[str]
) -> Iterator[Stack]:
    system = request.param
    with clusters.running(tmp_path_factory.mktemp(system)) as running:
        planned = plan({**changes_for(system), **CHANGES.get(system, {})})
        furnish(running, planned.groups)
        made = up(running, planned)
        counted.append(
            f"{system} on EKS: {len(planned.manifests)} objects applied;"
            f" {len(running.all('v1', 'Pod'))} pods run on {len(made.nodes())} nodes"
        )
        yield made


def test_the_network_is_the_links(stack: Stack) -> None:
    assert not compare(Network(stack), stack.plan.links()).differences
