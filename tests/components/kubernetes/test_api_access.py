"""What a service may do with the Kubernetes API: what it says, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from strata.model import ApiAccess, Service
from strata.platforms.kubernetes.cluster import (
    Connection,
    Destination,
    MetricsPort,
    WorkloadSummary,
)
from tests.components.kubernetes.agents import PODS, agent, describe, reader
from tests.components.kubernetes.stack import NAMES, NAMESPACE, FakeCluster, Recorded, compose
from tests.unit.examples import service

RBAC = "rbac.authorization.k8s.io"
EVENTS = ApiAccess(resources=("events",), verbs=("list",))
LEASES = ApiAccess(resources=("leases",), group="coordination.k8s.io", verbs=("get", "update"))
KUBELETS = ApiAccess(resources=("nodes/metrics",), verbs=("get",), cluster_wide=True)


class Cluster(FakeCluster):
    """One that says where its API server and its own metrics are."""

    def connect(self, workloads: WorkloadSummary) -> Connection:
        return replace(
            super().connect(workloads),
            api_server=(
                Destination(ranges=("10.96.0.1/32",), port=443),
                Destination(ranges=("192.0.2.10/32",), port=6443),
            ),
            kubelets=(Destination(ranges=("10.0.0.0/8",), port=10250),),
            metrics=(MetricsPort(namespace="system", pod="exporter", port=9400),),
        )


def composed(*workloads: Any) -> Recorded:
    return compose(describe(*workloads), cluster=Cluster()).recorded


def egress(recorded: Recorded, name: str = "reader") -> list[Any]:
    policy = recorded.inputs.get(("NetworkPolicy", name), {"spec": {}})
    return list(policy["spec"].get("egress", []))


def reached(recorded: Recorded, name: str = "reader") -> set[tuple[str, int]]:
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in egress(recorded, name)
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
    }


def test_rights_in_the_namespace_are_a_role() -> None:
    recorded = composed(reader(EVENTS, LEASES))
    role = recorded.only("Role")
    assert role["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "verbs": ["get", "update"],
        },
    ]
    binding = recorded.only("RoleBinding")
    assert binding["metadata"]["namespace"] == NAMESPACE
    assert binding["roleRef"] == {"apiGroup": RBAC, "kind": "Role", "name": "reader"}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}
    ]
    assert recorded.of("ClusterRole") == recorded.of("ClusterRoleBinding") == {}


def test_rights_everywhere_are_a_cluster_role_of_the_stack() -> None:
    recorded = composed(reader(PODS))
    name = f"{NAMESPACE}-reader"
    role = recorded.only("ClusterRole")
    assert role["metadata"]["name"] == name
    assert "namespace" not in role["metadata"]
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    ]
    binding = recorded.only("ClusterRoleBinding")
    assert binding["roleRef"] == {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}
    ]
    assert recorded.of("Role") == recorded.of("RoleBinding") == {}


def test_rights_are_there_before_the_pods() -> None:
    recorded = composed(reader(PODS, EVENTS))
    before = recorded.dependencies["Deployment", "reader"]
    assert {("RoleBinding", "reader"), ("ClusterRoleBinding", "reader")} <= before


@pytest.mark.parametrize("described", [agent(api_access=(EVENTS,)), reader(EVENTS)])
def test_rights_hold_in_both_namespaces_of_a_stack_with_agents(described: Service) -> None:
    others = () if described.host_mounts else (agent(),)
    recorded = composed(service("store"), described, *others)
    namespaces = {NAMESPACE, f"{NAMESPACE}-agents"}
    for kind in ("Role", "RoleBinding"):
        assert {one["metadata"]["namespace"] for one in recorded.of(kind).values()} == namespaces
    account = f"{NAMESPACE}-agents" if described.host_mounts else NAMESPACE
    for binding in recorded.of("RoleBinding").values():
        assert binding["roleRef"]["name"] == described.name
        assert [one["namespace"] for one in binding["subjects"]] == [account]


def test_a_token_is_mounted_for_who_has_access_and_for_nobody_else() -> None:
    recorded = composed(reader(PODS, prepare=("fetch",)), service("app"))
    pod = recorded.pod("reader")
    assert pod["automountServiceAccountToken"] is False
    (volume,) = [one for one in pod["volumes"] if "projected" in one]
    (token, *_) = volume["projected"]["sources"]
    assert token["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    (mount,) = [
        one for one in pod["containers"][0]["volumeMounts"] if one["name"] == volume["name"]
    ]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert mount["readOnly"] is True
    assert "volumeMounts" not in pod["initContainers"][0]
    assert "projected" not in str(recorded.workload("app"))


def test_the_api_server_is_reached_by_who_has_access_alone() -> None:
    recorded = composed(reader(EVENTS), service("app"))
    assert reached(recorded) == {("10.96.0.1/32", 443), ("192.0.2.10/32", 6443)}
    assert egress(recorded, "app") == []


def test_kubelets_are_reached_by_who_reads_their_metrics() -> None:
    recorded = composed(reader(KUBELETS), reader(PODS, name="other"))
    assert reached(recorded) - reached(recorded, "other") == {("10.0.0.0/8", 10250)}


def test_the_clusters_own_metrics_are_reached_by_who_reads_every_pod() -> None:
    def own(recorded: Recorded) -> list[Any]:
        return [one for one in egress(recorded) if "podSelector" in one["to"][0]]

    (rule,) = own(composed(reader(PODS)))
    assert rule == {
        "to": [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "system"}},
                "podSelector": {"matchLabels": NAMES.selector("exporter")},
            }
        ],
        "ports": [{"port": 9400, "protocol": "TCP"}],
    }
    assert own(composed(reader(replace(PODS, cluster_wide=False)))) == []
    assert own(composed(reader(EVENTS))) == []
