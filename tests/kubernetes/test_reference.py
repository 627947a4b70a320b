"""The reference system as the program makes it for EKS, in a real control plane.

It is applied as it would be there, with Pod Security enforced, and runs on nodes that kwok plays. What this shows:
every object is accepted, every pod is admitted, has a place and what it mounts; GPU pods are where the GPUs are.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from strata.model import Kind
from strata.platforms.kubernetes.names import INSTANCE, NAME
from tests import planned
from tests.cluster_ip import cluster_ip
from tests.kubernetes.stack import KUBE_SYSTEM, ZONES, Stack, owner_of

# The one namespace whose pods may do more than `restricted` allows, and what runs there.
PRIVILEGED_NAMESPACE = "strata-prod-agents"
PRIVILEGED = {"nvidia-device-plugin", "dcgm-exporter"}
# What serves nodes with GPUs.
ON_GPU_NODES = {*PRIVILEGED, "image-pull"}
# The accounts that talk to the API server, and so have a token.
WITH_TOKEN = {("strata-system", "cluster-autoscaler")}
ENFORCE = "pod-security.kubernetes.io/enforce"
GPU_PRESENT = "nvidia.com/gpu.present"
ZONE = "topology.kubernetes.io/zone"


@pytest.fixture
def stack(reference: Stack) -> Stack:
    return reference


def on_gpu_nodes(stack: Stack) -> set[str]:
    """What may run on a node with GPUs and use none: what serves these nodes, and every node."""
    return ON_GPU_NODES | {name for name, one in stack.plan.services.items() if one.on_every_node}


def containers(pod: Any) -> list[Any]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def gpus(pod: Any) -> dict[str, int]:
    """What a pod asks for of NVIDIA's resources, by their name."""
    found: dict[str, int] = defaultdict(int)
    for one in containers(pod):
        for name, count in one.get("resources", {}).get("limits", {}).items():
            if name.startswith("nvidia.com/"):
                found[name] += int(count)
    return dict(found)


def daemon(pod: Any) -> str | None:
    """The DaemonSet that a pod is of."""
    for owner in pod["metadata"].get("ownerReferences", ()):
        if owner["kind"] == "DaemonSet":
            return str(owner["name"])
    return None


def test_every_object_is_of_the_program(stack: Stack) -> None:
    """Nothing that the program asks of Kubernetes is left out here."""
    kubernetes = [one for one in stack.plan.program.resources if one.type.startswith("kubernetes:")]
    assert len(kubernetes) == len(stack.plan.manifests)
    assert {"Deployment", "StatefulSet", "NetworkPolicy", "Secret"} <= {
        one["kind"] for one in stack.plan.manifests
    }


def test_the_server_warns_of_nothing(stack: Stack) -> None:
    assert stack.warnings == []


def test_again_is_free(stack: Stack) -> None:
    """What is applied a second time is as it was: nothing in it is of two minds with the server."""
    for manifest in stack.plan.manifests:
        before = stack.cluster.read(manifest)
        assert asked(stack.cluster.apply(manifest)) == asked(before)


def asked(stored: Any) -> Any:
    """An object without what others keep in it: its state, and who wrote what when."""
    kept = {
        key: value
        for key, value in stored["metadata"].items()
        if key not in {"resourceVersion", "managedFields"}
    }
    return {**{key: one for key, one in stored.items() if key != "status"}, "metadata": kept}


def test_every_namespace_is_restricted_but_one(stack: Stack) -> None:
    levels = {
        one["metadata"]["name"]: stack.cluster.read(one)["metadata"]["labels"].get(ENFORCE)
        for one in stack.plan.of("Namespace")
    }
    assert levels.pop(PRIVILEGED_NAMESPACE) == "privileged"
    assert levels[stack.namespace] == "restricted"
    assert set(levels.values()) == {"restricted"}
    within = {
        one["metadata"]["name"]
        for one in stack.plan.manifests
        if one["metadata"].get("namespace") == PRIVILEGED_NAMESPACE
        and "template" in one.get("spec", {})
    }
    assert within == PRIVILEGED | {
        name for name, one in stack.plan.services.items() if one.host_mounts
    }
    assert {one["metadata"].get("namespace") for one in stack.plan.manifests} <= {
        None,
        *levels,
        PRIVILEGED_NAMESPACE,
    }


def test_every_pod_runs_and_is_ready(stack: Stack) -> None:
    for pod in stack.pods():
        conditions = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
        assert pod["status"]["phase"] == "Running", pod["metadata"]["name"]
        assert conditions["PodScheduled"] == conditions["Ready"] == "True"
    counts: dict[str, int] = defaultdict(int)
    for pod in stack.pods():
        if daemon(pod) not in ON_GPU_NODES:
            counts[owner_of(pod)] += 1
    assert counts == {
        name: len(stack.nodes()) if one.on_every_node else one.replicas
        for name, one in stack.plan.services.items()
    }


def test_what_a_pod_mounts_is_there(stack: Stack) -> None:
    """Here nothing is mounted, so a name that is wrong would not be noticed."""
    there = {
        (kind, one["metadata"]["namespace"], one["metadata"]["name"])
        for kind in ("ConfigMap", "Secret", "PersistentVolumeClaim")
        for one in stack.cluster.all("v1", kind)
    }
    seen = set()
    for pod in stack.cluster.all("v1", "Pod"):
        namespace, volumes = pod["metadata"]["namespace"], pod["spec"].get("volumes", ())
        for volume in volumes:
            for kind, name in referred(volume):
                assert (kind, namespace, name) in there, (pod["metadata"]["name"], volume)
                seen.add(kind)
            assert "hostPath" not in volume or namespace == PRIVILEGED_NAMESPACE
        names = {one["name"] for one in volumes}
        for container in containers(pod):
            assert {one["name"] for one in container.get("volumeMounts", ())} <= names
            # What is not a file is plain text, or of the pod itself.
            assert "envFrom" not in container
            for one in container.get("env", ()):
                assert set(one.get("valueFrom", {})) <= {"fieldRef"}, one
    assert seen == {"ConfigMap", "Secret", "PersistentVolumeClaim"}


def referred(volume: Any) -> list[tuple[str, str]]:
    """The objects that a volume is made of. It fails for a kind of volume that nobody uses here."""
    (source,) = set(volume) - {"name"}
    given = volume[source]
    match source:
        case "configMap":
            return [("ConfigMap", given["name"])]
        case "secret":
            return [("Secret", given["secretName"])]
        case "persistentVolumeClaim":
            return [("PersistentVolumeClaim", given["claimName"])]
        case "projected":
            return [
                ("ConfigMap", one["configMap"]["name"])
                for one in given["sources"]
                if "configMap" in one
            ]
        case "emptyDir" | "hostPath":
            return []
        case other:
            raise AssertionError(f"a volume of the kind {other}")


def test_clients_find_their_servers(stack: Stack) -> None:
    """The name and port of each link lead to the pods of its server, all that are ready and no others."""
    assert stack.plan.links()
    for client, server, (port, _) in stack.plan.links():
        for pod in stack.pods(client):
            hosts = {
                name: one["ip"] for one in pod["spec"]["hostAliases"] for name in one["hostnames"]
            }
            assert hosts[server] == cluster_ip(server), pod["metadata"]["name"]
        pods = stack.pods(server)
        wanted = {(pod["status"]["podIP"], port) for pod in pods}
        until_it_leads_to(stack, server, port, wanted)
        for pod in pods:
            declared = {
                one["containerPort"]
                for container in pod["spec"]["containers"]
                for one in container["ports"]
            }
            assert port in declared


def until_it_leads_to(stack: Stack, server: str, port: int, wanted: set[tuple[str, int]]) -> None:
    """Waits for the controllers, which may be behind where another test moved pods."""
    path = f"/api/v1/namespaces/{stack.namespace_of(server)}/services/{server}"
    service = stack.cluster.api.get(path)
    (name,) = [one["name"] for one in service["spec"]["ports"] if one["port"] == port]
    stack.cluster.until(
        lambda: ready_endpoints(stack, server, name) == wanted,
        f"{server}:{port} leads to {sorted(wanted)}",
    )


def ready_endpoints(stack: Stack, service: str, port: str) -> set[tuple[str, int]]:
    """Where the named port of a service leads to now."""
    return {
        (address, one["port"])
        for found in stack.cluster.all(
            "discovery.k8s.io/v1", "EndpointSlice", stack.namespace_of(service)
        )
        if found["metadata"]["labels"]["kubernetes.io/service-name"] == service
        for one in found["ports"] or ()
        if one["name"] == port
        for endpoint in found["endpoints"] or ()
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    }


def test_gpu_pods_are_on_gpu_nodes_and_no_others_are(stack: Stack) -> None:
    nodes = stack.nodes()
    with_gpus = {name for name, one in nodes.items() if GPU_PRESENT in one["metadata"]["labels"]}
    assert with_gpus
    asking = 0
    for pod in stack.placed:
        on_gpu_node = pod["spec"]["nodeName"] in with_gpus
        if gpus(pod):
            assert on_gpu_node, pod["metadata"]["name"]
            asking += 1
        else:
            assert not on_gpu_node or daemon(pod) in on_gpu_nodes(stack), pod["metadata"]["name"]
    wanted = [one for one in stack.plan.services.values() if one.gpu.image]
    assert asking == sum(one.replicas for one in wanted) > 0


def test_what_serves_gpu_nodes_is_on_all_of_them_and_on_no_other(stack: Stack) -> None:
    nodes = stack.nodes()
    with_gpus = {name for name, one in nodes.items() if GPU_PRESENT in one["metadata"]["labels"]}
    found: dict[str, set[str]] = defaultdict(set)
    for pod in stack.cluster.all("v1", "Pod", PRIVILEGED_NAMESPACE):
        if daemon(pod) not in stack.plan.services:
            found[daemon(pod) or ""].add(pod["spec"]["nodeName"])
    assert found == dict.fromkeys(PRIVILEGED, with_gpus)


def test_replicas_are_in_different_zones(stack: Stack) -> None:
    nodes = stack.nodes()
    spread = [one for one in stack.plan.services.values() if one.replicas > 1]
    assert spread
    for service in spread:
        on = [
            nodes[pod["spec"]["nodeName"]]
            for pod in stack.placed
            if pod["metadata"]["labels"].get(NAME) == service.name
        ]
        zones = {one["metadata"]["labels"][ZONE] for one in on}
        assert len(zones) == min(service.replicas, len(ZONES)), service.name
        assert len({one["metadata"]["name"] for one in on}) == service.replicas


def test_no_pod_has_a_token_but_those_that_ask_the_server(stack: Stack) -> None:
    with_token = set()
    for pod in stack.cluster.all("v1", "Pod"):
        metadata, spec = pod["metadata"], pod["spec"]
        if metadata["namespace"] == KUBE_SYSTEM:
            continue
        sources = [
            source
            for one in spec.get("volumes", ())
            for source in one.get("projected", {}).get("sources", ())
        ]
        if any("serviceAccountToken" in one for one in sources):
            with_token.add((metadata["namespace"], spec["serviceAccountName"]))
        assert spec["serviceAccountName"] != "default", metadata["name"]
    assert with_token == WITH_TOKEN | {
        (stack.namespace_of(name), name)
        for name, one in stack.plan.services.items()
        if one.api_access
    }


def test_secrets_do_not_change(stack: Stack) -> None:
    secrets = stack.cluster.all("v1", "Secret", stack.namespace)
    assert secrets
    for secret in secrets:
        assert secret["immutable"] is True
        path = f"/api/v1/namespaces/{stack.namespace}/secrets/{secret['metadata']['name']}"
        answer = stack.cluster.api.send(
            "PATCH", path, {"data": {"x": ""}}, content="application/merge-patch+json"
        )
        assert answer.status_code == 422, answer.text
        assert "immutable" in answer.json()["message"]


def test_datastores_are_the_last_to_go(stack: Stack) -> None:
    priorities = defaultdict(set)
    for service in stack.plan.services.values():
        if service.on_every_node:
            continue
        for pod in stack.pods(service.name):
            priorities[service.kind].add(pod["spec"]["priority"])
    (datastore,), (gateway,), (application,) = (
        priorities[kind] for kind in (Kind.DATASTORE, Kind.GATEWAY, Kind.APPLICATION)
    )
    assert datastore > gateway > application > 0
    # What only spares a wait goes before all of them.
    daemons = [one for one in stack.pods() if daemon(one)]
    others = {
        one["spec"]["priority"] for one in daemons if owner_of(one) not in stack.plan.services
    }
    assert max(others) < application
    # What runs on every node has no other place.
    agents = {one["spec"]["priority"] for one in daemons if owner_of(one) in stack.plan.services}
    assert min(agents) > datastore


def test_data_is_in_the_zone_of_its_pod_and_is_backed_up(stack: Stack) -> None:
    nodes = stack.nodes()
    volumes = {one["metadata"]["name"]: one for one in stack.cluster.all("v1", "PersistentVolume")}
    claims = stack.cluster.all("v1", "PersistentVolumeClaim", stack.namespace)
    wanted = sum(one.replicas * len(one.volumes) for one in stack.plan.services.values())
    assert len(claims) == wanted > 0
    for claim in claims:
        assert claim["status"]["phase"] == "Bound"
        name = claim["metadata"]["labels"][NAME]
        volume = volumes[claim["spec"]["volumeName"]]
        (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
        (pod,) = [
            one
            for one in stack.pods(name)
            if any(
                volume.get("persistentVolumeClaim", {}).get("claimName")
                == claim["metadata"]["name"]
                for volume in one["spec"]["volumes"]
            )
        ]
        node = nodes[pod["spec"]["nodeName"]]
        assert term["matchExpressions"][0]["values"] == [node["metadata"]["labels"][ZONE]]
        (declared,) = [
            one
            for one in stack.plan.services[name].volumes
            if claim["metadata"]["name"].startswith(f"{one.name}-")
        ]
        kept = volume["spec"]["persistentVolumeReclaimPolicy"]
        backup = claim["metadata"]["labels"].get("strata.backup")
        assert (kept, backup) == (("Delete", None) if declared.cache else ("Retain", "aws-backup"))


def test_autoscalers_are_of_what_may_grow(stack: Stack) -> None:
    found = {
        one["spec"]["scaleTargetRef"]["name"]: (
            one["spec"]["minReplicas"],
            one["spec"]["maxReplicas"],
        )
        for one in stack.cluster.all("autoscaling/v2", "HorizontalPodAutoscaler", stack.namespace)
    }
    growing = {
        name: (one.replicas, one.replicas_maximum)
        for name, one in stack.plan.services.items()
        if one.replicas_maximum
    }
    assert found == growing != {}


def test_every_pod_is_of_one_workload(stack: Stack) -> None:
    """No selector picks pods of two: a Deployment would take the other's for its own."""
    for service in stack.plan.services.values():
        picked = [
            pod
            for pod in stack.cluster.all("v1", "Pod")
            if {INSTANCE: planned.STACK, NAME: service.name}.items()
            <= pod["metadata"].get("labels", {}).items()
        ]
        assert {owner_of(pod) for pod in picked} == {service.name}
        assert {pod["metadata"]["namespace"] for pod in picked} == {
            stack.namespace_of(service.name)
        }
