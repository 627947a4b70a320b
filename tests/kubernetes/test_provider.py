"""`pulumi up` with Pulumi's Kubernetes provider itself, on a real control plane with simulated nodes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from strata.pins import KUBERNETES_PLUGIN
from strata.platforms.kubernetes.cluster import NodeGroup
from tests import planned
from tests.kubernetes import cluster as clusters
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.stack import furnish
from tests.project import TEST_SYSTEMS, Project, Result
from toolchain.layout import here
from toolchain.registries import control_plane

NODES = (NodeGroup(name="nodes", nodes_maximum=3, cpu=4, memory_mib=8192),)
SECONDS = 240
STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "default",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": "storage.strata.tests",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}
# There is no metrics-server. That the cluster has its API is enough for an autoscaler's object.
METRICS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "podmetrics.metrics.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
    },
    "spec": {
        "group": "metrics.k8s.io",
        "scope": "Namespaced",
        "names": {"kind": "PodMetrics", "plural": "podmetrics"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own: other tests count what is in theirs."""
    with clusters.running(tmp_path_factory.mktemp("provider")) as running:
        furnish(running, NODES)
        for manifest in (STORAGE_CLASS, METRICS):
            running.apply(manifest, manager="tests")
        yield running


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    made = Stack(cluster, tmp_path_factory.mktemp("project") / "project")
    # With a preview, in which no address of a Service is known.
    done = made.run("up", "--yes")
    assert done.status == 0, done.output
    return made


class Stack:
    """A project whose stack is in the cluster."""

    def __init__(self, cluster: Cluster, folder: Path, name: str = "cluster") -> None:
        self.cluster = cluster
        self.namespace = f"{planned.PROJECT}-{name}"
        self.project = Project(folder, name, self.settings(), TEST_SYSTEMS)
        home = folder.parent / "pulumi-home"
        plugin = home / "plugins" / f"resource-kubernetes-v{KUBERNETES_PLUGIN}"
        plugin.mkdir(parents=True)
        (plugin / "pulumi-resource-kubernetes").symlink_to(control_plane.provider(here()))
        self.project.environment |= {
            "PULUMI_HOME": str(home),
            "KUBECONFIG": str(cluster.kubeconfig),
            # The setting of the provider (enable_patch_force) is newer than the build of it here.
            "PULUMI_K8S_ENABLE_PATCH_FORCE": "true",
        }

    def settings(self, **api: Any) -> dict[str, Any]:
        return {
            "system": "in_cluster",
            "platform": "kubernetes",
            "kubernetes": {"registry": "registry.test/strata"},
            "imageDigests": planned.PUSHED,
            "seed": planned.SEED,
            "services": {"api": api},
        }

    def configure(self, **api: Any) -> None:
        self.project.configure(self.settings(**api))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return self.project.start(*arguments)

    def run(self, *arguments: str) -> Result:
        """Runs a command, with volumes provided meanwhile."""
        process = self.start(*arguments)
        self.cluster.until(lambda: process.poll() is not None, f"pulumi {arguments[0]}", SECONDS)
        output, _ = process.communicate()
        return Result(process.returncode, output)

    def destroy(self) -> None:
        """Removes the stack with its data."""
        for command in (("state", "unprotect", "--all", "--yes"), ("destroy", "--yes")):
            result = self.run(*command)
            assert result.status == 0, result.output

    def read(self, kind: str, name: str) -> Any:
        (found,) = [
            one
            for one in self.cluster.all("apps/v1", kind, self.namespace)
            if one["metadata"]["name"] == name
        ]
        return found


def unchanged(result: Result) -> bool:
    return result.status == 0 and not any(
        change in result.output for change in ("to create", "to update", "to replace", "to delete")
    )


def test_the_second_preview_has_no_change(stack: Stack) -> None:
    result = stack.run("preview", "--diff")
    assert unchanged(result), result.output
    assert str(stack.cluster.kubeconfig) not in stack.project.state_text()


def test_pods_have_the_addresses_of_their_servers(stack: Stack) -> None:
    """Also once a Service was created again."""

    def service() -> Any:
        path = f"/api/v1/namespaces/{stack.namespace}/services/postgres"
        return stack.cluster.api.get(path)

    def hosts() -> list[Any]:
        pod = stack.read("Deployment", "api")["spec"]["template"]["spec"]
        assert pod["dnsPolicy"] == "None"
        return list(pod["hostAliases"])

    first = service()
    assert hosts() == [{"ip": first["spec"]["clusterIP"], "hostnames": ["postgres"]}]
    stack.cluster.delete({"apiVersion": "v1", "kind": "Service", **first})
    result = stack.run("up", "--yes", "--skip-preview", "--refresh")
    assert result.status == 0, result.output
    second = service()
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert hosts() == [{"ip": second["spec"]["clusterIP"], "hostnames": ["postgres"]}]


def test_the_same_cluster_at_another_address_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    elsewhere = yaml.safe_load(stack.cluster.kubeconfig.read_text())
    (entry,) = elsewhere["clusters"]
    entry["cluster"]["server"] = entry["cluster"]["server"].replace("127.0.0.1", "localhost")
    entry["cluster"]["tls-server-name"] = "127.0.0.1"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(elsewhere))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(stack.project.environment, "KUBECONFIG", str(file))
        result = stack.run("preview", "--diff")
    assert unchanged(result), result.output


@pytest.mark.fault(
    "fields of a service on a cluster are changed by `kubectl`",
    holds="the next update of the service sets them again",
)
def test_what_was_changed_by_hand_is_put_back(stack: Stack) -> None:
    """`kubectl set resources` and `kubectl scale` become the managers of what they change."""
    by_hand = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": stack.namespace},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": "api", "resources": {"limits": {"memory": "128Mi"}}}]
                }
            }
        },
    }
    answer = stack.cluster.api.send(
        "PATCH",
        stack.cluster.path(by_hand),
        by_hand,
        parameters={"fieldManager": "kubectl-set"},
        content="application/strategic-merge-patch+json",
    )
    assert answer.ok, answer.text
    stack.configure(memoryMib=96)
    result = stack.run("up", "--yes", "--skip-preview")
    assert result.status == 0, result.output
    (container,) = stack.read("Deployment", "api")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "96Mi"


def test_an_autoscaler_takes_over_without_a_pod_less(stack: Stack) -> None:
    def replicas() -> int:
        return int(stack.read("Deployment", "api")["spec"]["replicas"])

    assert replicas() == 2
    since = stack.cluster.version()
    stack.configure(memoryMib=96, replicasMaximum=5)
    assert stack.run("up", "--yes", "--skip-preview").status == 0
    # As the autoscaler does under load.
    stack.cluster.patch(stack.read("Deployment", "api"), {"spec": {"replicas": 4}}, "/scale")
    stack.configure(memoryMib=112, replicasMaximum=5)
    result = stack.run("up", "--yes", "--skip-preview")
    assert result.status == 0, result.output
    assert replicas() == 4
    events = stack.cluster.history("apps/v1", "Deployment", stack.namespace, since)
    assert min(one["object"]["spec"]["replicas"] for one in events) >= 2


@pytest.mark.fault(
    "every node of a cluster is full during an update",
    holds="`up` says so within a minute, and completes once there is room",
)
def test_a_rollout_that_is_stuck_says_why_within_a_minute(stack: Stack) -> None:
    """With every node full, a new pod has no place. The update goes on once it has one."""
    pods = [filler(node["metadata"]["name"]) for node in stack.cluster.all("v1", "Node")]
    for pod in pods:
        stack.cluster.apply(pod, manager="tests")
    stack.cluster.until(
        lambda: not has_place(stack.cluster), "the scheduler knows that they are full"
    )
    stack.configure(memoryMib=128)
    process = stack.start("up", "--yes", "--skip-preview")
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        lines.extend(process.stdout)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def told() -> bool:
        return process.poll() is not None or "Insufficient memory" in "".join(lines)

    try:
        stack.cluster.until(told, "it says why", 60)
        for pod in pods:
            stack.cluster.delete(pod)
        stack.cluster.until(lambda: process.poll() is not None, "the update has ended", SECONDS)
    finally:
        process.kill()
        reader.join()
        print("".join(lines))
    assert process.returncode == 0
    assert "Insufficient memory" in "".join(lines)


def filler(node: str) -> dict[str, Any]:
    """A pod that takes all memory of a node."""
    # Else the pods of the stack would displace it.
    placed = {"nodeName": node, "priorityClassName": "system-node-critical"}
    return one_container(f"filler-{node}", NODES[0].memory_mib, placed)


def has_place(cluster: Cluster) -> bool:
    """Whether the scheduler finds a node for a small pod."""
    small = one_container("small", 1, {})
    cluster.apply(small, manager="tests")

    def place() -> str:
        pod = cluster.read(small)
        return str(pod["spec"].get("nodeName") or pod["status"].get("conditions") or "")

    found = cluster.until(place, "the scheduler looked for a place")
    cluster.delete(small)
    return "Insufficient memory" not in found


def one_container(name: str, memory_mib: int, placed: Mapping[str, str]) -> dict[str, Any]:
    """A pod in the namespace `default`, which ends at once when it is deleted."""
    resources = {"requests": {"memory": f"{memory_mib}Mi"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            **placed,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": name, "image": name, "resources": resources}],
        },
    }


@pytest.mark.fault(
    "the first `up` on a cluster is killed (SIGKILL) once there is its namespace or a pod",
    holds="the next `up` completes it, and creates nothing twice",
)
@pytest.mark.parametrize("moment", ["namespace", "pods"])
def test_an_update_that_was_killed_is_continued(
    cluster: Cluster, tmp_path: Path, moment: str
) -> None:
    """Killed with all its processes, when the cluster has the first objects of this kind."""
    made = Stack(cluster, tmp_path / "project", f"killed-{moment}")
    kinds = {"namespace": "Namespace", "pods": "Pod"}

    def objects(kind: str) -> list[Any]:
        found = cluster.all("v1", kind, None if kind == "Namespace" else made.namespace)
        return [
            one
            for one in found
            if made.namespace in (one["metadata"].get("namespace"), one["metadata"]["name"])
        ]

    process = made.start("up", "--yes", "--skip-preview")
    cluster.until(lambda: objects(kinds[moment]), f"there is a {kinds[moment]}", SECONDS)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = {one["metadata"]["uid"] for one in objects("Secret") + objects("Namespace")}
    result = made.run("up", "--yes", "--skip-preview")
    assert result.status == 0, result.output
    after = {one["metadata"]["uid"] for one in objects("Secret") + objects("Namespace")}
    # Nothing was created a second time.
    assert before <= after
    again = made.run("preview", "--diff")
    assert unchanged(again), again.output
    exported = made.project.run("stack", "export")
    assert not json.loads(exported.output)["deployment"].get("pending_operations")
    made.destroy()
    cluster.until(lambda: not objects("Namespace"), "the namespace is gone")


def test_a_namespace_of_somebody_else_is_left_alone(cluster: Cluster, tmp_path: Path) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "strata-taken", "labels": {"owner": "somebody"}},
    }
    cluster.apply(theirs, manager="somebody")
    before = cluster.read(theirs)
    made = Stack(cluster, tmp_path / "project", "taken")
    for _ in range(2):
        result = made.run("up", "--yes", "--skip-preview")
        assert result.status != 0
        assert "already exists" in result.output
        assert cluster.read(theirs)["metadata"] == before["metadata"]
    made.destroy()
    assert cluster.read(theirs)["metadata"] == before["metadata"]
    cluster.delete(theirs)


def test_a_destroy_that_would_stop_half_way_is_rejected(stack: Stack) -> None:
    before = stack.project.state_text()
    result = stack.run("destroy", "--yes", "--skip-preview")
    assert result.status != 0
    assert "data-postgres-0" in result.output
    assert "--exclude-protected" in result.output
    assert stack.project.state_text() == before
    assert stack.read("Deployment", "api")
    stack.destroy()
    assert not [
        one
        for one in stack.cluster.all("v1", "Namespace")
        if one["metadata"]["name"] == stack.namespace
    ]
