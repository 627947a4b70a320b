"""Whether a stack fits on the nodes that there can be."""

import pytest

from strata.model import Resources, Service
from strata.platforms.kubernetes.cluster import NodeGroup, Taint
from strata.platforms.kubernetes.fit import check, usable
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes.stack import SYSTEM, FakeCluster, gpu_group, refused
from tests.unit.examples import service


def nodes(most: int, memory_mib: int = 4096 + 512) -> NodeGroup:
    """Nodes with 4 GiB and 4 cores left for pods; one more than `most`, which the cluster's own
    pods take."""
    return NodeGroup(name="nodes", nodes_maximum=most, cpu=4.4, memory_mib=memory_mib)


def wanted(name: str, memory_mib: int, cpu: float = 0.1, **changed: int) -> Service:
    resources = Resources(memory_mib=memory_mib, cpu=max(cpu, 1), cpu_reserved=cpu)
    return service(name, resources=resources, **changed)


@pytest.mark.parametrize(
    ("services", "most", "fits"),
    [
        ((wanted("a", 4096),), 2, True),
        # The sum would do, but a pod is not cut in two.
        ((wanted("a", 3000, replicas=4),), 4, False),
        ((wanted("a", 3000, replicas=4),), 5, True),
        # The largest number counts, not the first.
        ((wanted("a", 3000, replicas_maximum=4),), 4, False),
        # Small ones beside large ones: sorted, these fill the nodes.
        ((wanted("a", 1024, replicas=2), wanted("b", 3072, replicas=2)), 3, True),
        ((wanted("a", 64, cpu=2, replicas=4),), 2, False),
        ((wanted("a", 64, cpu=2, replicas=4),), 3, True),
    ],
)
def test_pods_find_their_places(services: tuple[Service, ...], most: int, fits: bool) -> None:
    assert (check(services, [nodes(most)], {}).problems == ()) is fits


def test_what_fits_on_no_node_is_named() -> None:
    (problem,) = check([wanted("a", 5000)], [nodes(9)], {}).problems
    assert problem.path == "service a: resources"
    assert "nodes 4 cores and 4096 MiB" in problem.message


def test_daemons_have_their_share_of_each_node() -> None:
    cpu, memory_mib = usable(nodes(1))
    assert (round(cpu, 3), memory_mib) == (4.0, 4096)


def test_a_taint_keeps_others_away() -> None:
    tainted = NodeGroup(
        name="tainted",
        nodes_maximum=9,
        cpu=64,
        memory_mib=65536,
        taints=(Taint(key="a", value="", effect="NoSchedule"),),
    )
    (problem,) = check([wanted("a", 5000)], [nodes(9), tainted], {}).problems
    assert "tainted" not in problem.message
    only_if_better = Taint(key="a", value="", effect="PreferNoSchedule")
    open_group = NodeGroup(
        name="open", nodes_maximum=1, cpu=64, memory_mib=65536, taints=(only_if_better,)
    )
    assert check([wanted("a", 5000)], [nodes(9), open_group], {}).problems == ()


def test_a_gpu_pod_needs_room_beside_its_gpu() -> None:
    group = gpu_group(memory_mib=2048)
    (problem,) = check([wanted("a", 4096)], [SYSTEM, group], {"a": (group,)}).problems
    assert "gpu 7600m cores and 1536 MiB" in problem.message


def test_a_stack_that_does_not_fit_shows_the_table_and_makes_nothing() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", resources=Resources(memory_mib=12000), replicas=9)

    error, recorded = refused(describe, cluster=FakeCluster(groups=(SYSTEM,)))
    (problem,) = error.problems
    assert problem.path == "budget: nodes"
    assert "5 of 9 pods don't fit" in problem.message
    assert "requested" in problem.message
    assert "node group" in problem.message
    assert recorded.objects == {}
