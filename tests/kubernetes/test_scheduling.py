"""The cluster of these tests is a real one: its scheduler refuses, its controllers and its admission work.

What is seen here is what the tests of whole systems rely on.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

import pytest

from strata.platforms.kubernetes.cluster import NodeGroup, Taint
from tests.kubernetes.cluster import Cluster, RefusedError
from tests.kubernetes.nodes import nodes

NAMESPACE = "scheduling"
ZONES = ("test-1a", "test-1b", "test-1c")
# Nodes of these tests alone: everything here asks for the label, and tolerates the taint.
OWN = {"strata.tests": NAMESPACE}
OWN_TAINT = Taint(key="strata.tests", value=NAMESPACE, effect="NoSchedule")
GPU_TAINT = Taint(key="nvidia.com/gpu", value="true", effect="NoSchedule")
GROUPS = (
    NodeGroup(
        name="scheduling-plain",
        nodes_maximum=3,
        cpu=2,
        memory_mib=4096,
        labels=OWN,
        taints=(OWN_TAINT,),
    ),
    NodeGroup(
        name="scheduling-gpu",
        nodes_maximum=1,
        cpu=2,
        memory_mib=4096,
        gpus=1,
        labels=OWN,
        taints=(OWN_TAINT, GPU_TAINT),
    ),
)


def tolerates(taint: Taint) -> dict[str, str]:
    return {"key": taint.key, "operator": "Exists", "effect": taint.effect}


def deployment(name: str, replicas: int = 1, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    container = {
        "name": "main",
        "image": "example.com/image@sha256:" + "0" * 64,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **spec.pop("container", {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "nodeSelector": OWN,
                    "tolerations": [tolerates(OWN_TAINT)],
                    **spec,
                },
            },
        },
    }


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Cluster) -> Iterator[None]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": labels},
        },
        *nodes(GROUPS, ZONES, IPv4Network("10.250.0.0/16")),
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": NAMESPACE},
            "provisioner": "storage.strata.tests",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    ]
    for one in made:
        cluster.apply(one)
    yield
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    cluster.api.send("DELETE", path, parameters={"propagationPolicy": "Background"})
    cluster.api.send("DELETE", f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims")
    # A namespace that still holds something waits long before it looks again.
    cluster.until(lambda: empty(cluster), "pods and volumes are gone")
    for one in made:
        cluster.delete(one)


def empty(cluster: Cluster) -> bool:
    left = [
        *cluster.all("v1", "Pod", NAMESPACE),
        *(
            one
            for one in cluster.all("v1", "PersistentVolume")
            if one["spec"]["storageClassName"] == NAMESPACE
        ),
    ]
    return not left


def pods(cluster: Cluster, name: str) -> list[Any]:
    return [
        one
        for one in cluster.all("v1", "Pod", NAMESPACE)
        if one["metadata"].get("labels", {}).get("app") == name
    ]


def running(cluster: Cluster, name: str, count: int = 1) -> list[Any]:
    def all_run() -> list[Any]:
        found = pods(cluster, name)
        ready = [one for one in found if one["status"]["phase"] == "Running"]
        return found if len(found) == len(ready) == count else []

    return cluster.until(all_run, f"{count} of {name} run")


def unschedulable(cluster: Cluster, name: str) -> str:
    """Why the scheduler leaves a pod pending."""

    def reason() -> str:
        for one in pods(cluster, name):
            for condition in one["status"].get("conditions", ()):
                if condition["type"] == "PodScheduled" and condition["status"] == "False":
                    return str(condition["message"])
        return ""

    return cluster.until(reason, f"{name} is pending")


def test_a_gpu_is_asked_for_with_limit_toleration_and_selector(cluster: Cluster) -> None:
    limits = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    tolerations = [tolerates(OWN_TAINT), tolerates(GPU_TAINT)]
    cluster.apply(deployment("with-all", container=limits, tolerations=tolerations))
    assert running(cluster, "with-all")[0]["spec"]["nodeName"] == "scheduling-gpu-1"
    cluster.apply(deployment("untolerating", container=limits))
    assert "untolerated taint" in unschedulable(cluster, "untolerating")
    cluster.apply(deployment("one-too-many", container=limits, tolerations=tolerations))
    assert "Insufficient nvidia.com/gpu" in unschedulable(cluster, "one-too-many")


def test_what_no_node_can_hold_stays_pending(cluster: Cluster) -> None:
    requests = {"resources": {"requests": {"memory": "4097Mi"}}}
    cluster.apply(deployment("too-large", container=requests))
    assert "Insufficient memory" in unschedulable(cluster, "too-large")


def test_a_volume_is_made_in_the_zone_of_its_pod(cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": NAMESPACE},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": NAMESPACE,
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
    )
    volume = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    selector = {**OWN, "topology.kubernetes.io/zone": ZONES[1]}
    cluster.apply(deployment("in-zone-b", volumes=volume, nodeSelector=selector))
    assert running(cluster, "in-zone-b")[0]["spec"]["nodeName"] == "scheduling-plain-2"
    # From now on the volume is there, and keeps its pods there.
    elsewhere = {**OWN, "topology.kubernetes.io/zone": ZONES[0]}
    cluster.apply(deployment("in-zone-a", volumes=volume, nodeSelector=elsewhere))
    assert "didn't match PersistentVolume's node affinity" in unschedulable(cluster, "in-zone-a")


def test_restricted_pods_alone_are_admitted(cluster: Cluster) -> None:
    cluster.apply(deployment("privileged", container={"securityContext": {"privileged": True}}))

    def refused() -> str:
        for one in cluster.read(deployment("privileged"))["status"].get("conditions", ()):
            if one["type"] == "ReplicaFailure":
                return str(one["message"])
        return ""

    assert 'violates PodSecurity "restricted' in cluster.until(refused, "it is refused")
    assert not pods(cluster, "privileged")


def test_an_unknown_field_is_refused(cluster: Cluster) -> None:
    wrong = deployment("unknown-field")
    wrong["spec"]["replica"] = 2
    with pytest.raises(RefusedError, match=r"unknown-field.*replica"):
        cluster.apply(wrong)
