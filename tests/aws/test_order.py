"""What a program has to say that it waits for."""

from typing import Any

from tests.aws.order import unsaid
from tests.aws.references import Use
from tests.planned import Planned

START = "urn:pulumi:prod::strata::"
ROLE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
CLUSTER, GROUP, ADDON = (
    "aws:eks/cluster:Cluster",
    "aws:eks/nodeGroup:NodeGroup",
    "aws:eks/addon:Addon",
)


def planned(type_: str, name: str, *before: Planned, parent: str = "", **inputs: Any) -> Planned:
    return Planned(
        urn=f"{START}{type_}::{name}",
        type=type_,
        name=name,
        custom=True,
        inputs=inputs,
        id=name,
        outputs={},
        parent=parent,
        property_dependencies={},
        dependencies=frozenset(one.urn for one in before),
        protect=False,
        ignore_changes=(),
    )


def use(by: Planned, of: Planned) -> Use:
    return Use(by=by.urn.removeprefix(START), of=of.urn.removeprefix(START), what="x")


def test_directly_by_others_and_by_the_parent() -> None:
    role = planned(ROLE, "role")
    direct = planned(CLUSTER, "direct", role)
    other = planned(GROUP, "other", direct)
    component = planned("strata:eks:Nodes", "nodes", role)
    child = planned(GROUP, "child", parent=component.urn)
    uses = [use(one, role) for one in (direct, other, child)]
    assert unsaid([role, direct, other, component, child], uses) == []


def test_what_is_not_said() -> None:
    role, cluster = planned(ROLE, "role"), planned(CLUSTER, "cluster")
    assert unsaid([role, cluster], [use(cluster, role)]) == [
        f"{CLUSTER}::cluster does not wait for {ROLE}::role (x)"
    ]


def test_who_uses_a_role_waits_for_its_policies() -> None:
    role = planned(ROLE, "role")
    policy = planned(POLICY, "policy", role)
    silent, said = planned(CLUSTER, "silent", role), planned(CLUSTER, "said", role, policy)
    uses = [use(policy, role), use(silent, role), use(said, role)]
    assert unsaid([role, policy, silent, said], uses) == [
        f"{CLUSTER}::silent does not wait for {POLICY}::policy (policy of x)"
    ]


def test_nodes_wait_for_their_network_where_eks_brings_none() -> None:
    for bootstrap, expected in ((False, 1), (True, 0)):
        cluster = planned(CLUSTER, "cluster", bootstrapSelfManagedAddons=bootstrap)
        network = planned(ADDON, "network", cluster, addonName="vpc-cni")
        silent, said = planned(GROUP, "silent", cluster), planned(GROUP, "said", network)
        assert len(unsaid([cluster, network, silent, said], [])) == expected


def test_add_ons_with_pods_of_their_own_wait_for_nodes() -> None:
    group = planned(GROUP, "group")
    silent, said = (planned(ADDON, str(len(b)), *b, addonName="coredns") for b in ((), (group,)))
    assert unsaid([group, silent, said], []) == [f"{ADDON}::0 does not wait for any node"]
