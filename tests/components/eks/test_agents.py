"""Agents on EKS: one privileged namespace, and metrics of the cluster's own pods."""

from typing import Any

import pytest

from strata.model import ApiAccess, Workload
from tests.components.kubernetes.agents import PODS, agent, describe, reader
from tests.planned import Program, plan
from tests.unit.examples import service

AGENTS = "strata-prod-agents"
ENFORCE = "pod-security.kubernetes.io/enforce"
KUBELETS = ApiAccess(resources=("nodes/metrics",), verbs=("get",), cluster_wide=True)


def planned(*workloads: Workload, gpus: bool = True) -> Program:
    one = {"name": "gpu", "instanceTypes": ["g6.xlarge"], "maximum": 2}
    aws = {"account": "111122223333", "gpuNodes": [one] if gpus else []}
    digests = dict.fromkeys({one.image for one in workloads}, f"sha256:{'7' * 64}")
    changes = {"aws": aws, "gpu": {"mode": "off"}, "services": {}, "imageDigests": digests}
    return plan(changes, describe=describe(*workloads))


def objects(program: Program, kind: str, namespace: str | None = None) -> dict[str, Any]:
    return {
        one["metadata"]["name"]: one
        for one in program.manifests()
        if one["kind"] == kind and namespace in (None, one["metadata"].get("namespace"))
    }


@pytest.mark.parametrize(
    ("gpus", "own", "pods"),
    [
        # The device plugin and the exporter on each of two GPU nodes in each of three zones.
        (True, {"nvidia-device-plugin", "dcgm-exporter"}, 12),
        (False, set(), 0),
    ],
)
def test_agents_share_the_one_privileged_namespace(gpus: bool, own: set[str], pods: int) -> None:
    program = planned(service("store"), agent(), gpus=gpus)
    levels = {
        name: one["metadata"]["labels"][ENFORCE]
        for name, one in objects(program, "Namespace").items()
    }
    assert levels == {
        AGENTS: "privileged",
        "strata-prod": "restricted",
        "strata-system": "restricted",
    }
    assert set(objects(program, "DaemonSet", AGENTS)) == {*own, "agent"}
    nodes = 2 * (6 + (2 if gpus else 0))
    quota = objects(program, "ResourceQuota", AGENTS)["quota"]["spec"]["hard"]
    assert quota == {"pods": str(pods + nodes)}


def test_neither_gpus_nor_agents_need_no_privileged_namespace() -> None:
    program = planned(service("app", on_every_node=True), gpus=False)
    assert AGENTS not in objects(program, "Namespace")


def egress(program: Program, name: str) -> set[tuple[str, int]]:
    policies = objects(program, "NetworkPolicy", "strata-prod")
    return {
        (
            peer["ipBlock"]["cidr"]
            if "ipBlock" in peer
            else peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            + "/"
            + peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
            port["port"],
        )
        for rule in policies[name]["spec"]["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
    }


API_SERVER = {("10.64.0.0/16", 443), ("172.20.0.0/16", 443)}


def test_who_reads_every_pod_reaches_the_clusters_own_metrics() -> None:
    program = planned(reader(PODS), reader(KUBELETS, name="other"))
    assert egress(program, "reader") == API_SERVER | {
        ("strata-system/cluster-autoscaler", 8085),
        (f"{AGENTS}/dcgm-exporter", 9400),
    }
    assert egress(program, "other") == API_SERVER | {("10.64.0.0/16", 10250)}
    labels = {"app.kubernetes.io/instance": "prod", "app.kubernetes.io/name": "reader"}
    reader_alone = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "strata-prod"}},
            "podSelector": {"matchLabels": labels},
        }
    ]
    for namespace, name, port in (
        ("strata-system", "cluster-autoscaler", 8085),
        (AGENTS, "dcgm-exporter", 9400),
    ):
        (rule,) = objects(program, "NetworkPolicy", namespace)[name]["spec"]["ingress"]
        assert rule == {"from": reader_alone, "ports": [{"port": port, "protocol": "TCP"}]}


def test_without_such_a_service_nothing_reads_them() -> None:
    program = planned(reader(KUBELETS))
    assert "dcgm-exporter" not in objects(program, "NetworkPolicy", AGENTS)
    autoscaler = objects(program, "NetworkPolicy", "strata-system")["cluster-autoscaler"]
    assert "ingress" not in autoscaler["spec"]
