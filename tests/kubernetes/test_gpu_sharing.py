"""GPUs that are shared, in a real control plane: two groups of nodes with different GPUs, from settings alone.

One group's GPUs are used in turns, the other's are cut into slices. The reference system asks for the one, then for the
other; nothing but its inference moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kubernetes import cluster as clusters
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.stack import Plan, Stack, furnish, plan, up

IN_TURNS = {
    "name": "small",
    # Tried in this order.
    "instanceTypes": ["g6.xlarge", "g5.xlarge"],
    "capacity": "spot",
    "maximum": 2,
    "sharing": "time-slicing",
    "timeSlices": 4,
}
IN_SLICES = {
    "name": "large",
    "instanceTypes": ["p5.48xlarge"],
    "capacity": "capacity-block",
    "reservationId": "cr-0123456789abcdef0",
    "zone": "a",
    "maximum": 1,
    "efa": True,
    "sharing": "mig",
    "migProfile": "1g.10gb",
}
AWS = {
    "account": "111122223333",
    "region": "us-east-1",
    "gpuNodes": [IN_TURNS, IN_SLICES],
}
REPLICAS = 3


def planned(**gpu: Any) -> Plan:
    return plan(
        {
            "aws": AWS,
            "gpu": {"mode": "require", **gpu},
            "services": {"inference": {"replicas": REPLICAS}},
        }
    )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with these groups of nodes."""
    with clusters.running(tmp_path_factory.mktemp("gpu-sharing")) as running:
        yield running


@pytest.fixture(scope="module")
def in_turns(cluster: Cluster) -> Stack:
    found = planned(sharing="time-slicing")
    furnish(cluster, found.groups)
    return up(cluster, found)


def groups_of(stack: Stack, name: str) -> set[str]:
    """The node groups that the pods of a service are on."""
    nodes = stack.nodes()
    return {
        nodes[one["spec"]["nodeName"]]["metadata"]["labels"]["strata.node-group"]
        for one in stack.pods(name)
    }


def gpu_limits(stack: Stack) -> list[dict[str, str]]:
    return [
        {
            name: amount
            for name, amount in one["spec"]["containers"][0]["resources"]["limits"].items()
            if name.startswith("nvidia.com/")
        }
        for one in stack.pods("inference")
    ]


def test_gpus_in_turns_and_in_slices(in_turns: Stack) -> None:
    assert in_turns.warnings == []
    assert gpu_limits(in_turns) == [{"nvidia.com/gpu.shared": "1"}] * REPLICAS
    assert groups_of(in_turns, "inference") == {"small"}
    others = {
        name: [one["metadata"]["uid"] for one in in_turns.pods(name)]
        for name in in_turns.plan.services
        if name != "inference"
    }
    in_slices = up(in_turns.cluster, planned(sharing="mig", migProfile="1g.10gb"))
    assert in_slices.warnings == []
    in_slices.cluster.until(
        lambda: len(in_slices.pods("inference")) == REPLICAS, "those before are gone"
    )
    assert gpu_limits(in_slices) == [{"nvidia.com/mig-1g.10gb": "1"}] * REPLICAS
    assert groups_of(in_slices, "inference") == {"large"}
    for name, pods in others.items():
        assert [one["metadata"]["uid"] for one in in_slices.pods(name)] == pods
    gpu_groups = {one.name for one in in_slices.plan.groups if one.gpus}
    assert gpu_groups == {"small", "large"}
    for name, service in in_slices.plan.services.items():
        may = name == "inference" or service.on_every_node
        assert may or not groups_of(in_slices, name) & gpu_groups
