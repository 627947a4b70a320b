"""A cluster that a kubeconfig leads to: asked what it is like, then given a stack that uses every field.

The cluster is a real control plane of its own, with nodes like those of somebody else: no labels of ours, and GPUs that
NVIDIA's feature discovery describes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.config import kube_config

from strata import stack as composed
from strata.components import (
    AppJob,
    AppJobArgs,
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    GpuService,
    GpuServiceArgs,
    RayCluster,
    RayClusterArgs,
    RayWorkers,
    Route,
)
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis_cluster import NODES, REDIS_CLUSTER
from strata.model import (
    Capability,
    Endpoint,
    File,
    Gpu,
    GpuMode,
    InvalidStackError,
    Ordinal,
    Peers,
    Port,
    Protocol,
    ReplicaHost,
    Resources,
    Tmpfs,
    Volume,
    Zone,
)
from strata.platforms.kubernetes.cluster import NodeGroup, Taint
from tests.kubernetes import cluster as clusters
from tests.kubernetes.network import Network, compare
from tests.kubernetes.reachability import outside
from tests.kubernetes.stack import Plan, Stack, furnish, plan, up

SMALL = Resources(memory_mib=64, cpu=0.5)
INTERNET = "93.184.215.14"
GROUPS = (
    NodeGroup(name="somebodys", nodes_maximum=3, cpu=4, memory_mib=16384),
    NodeGroup(
        name="somebodys-gpu",
        # Two for each service that has GPUs: the scheduler spreads their replicas.
        nodes_maximum=4,
        cpu=8,
        memory_mib=32768,
        gpus=2,
        labels={
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": "NVIDIA-L4",
            "nvidia.com/gpu.memory": "23034",
        },
        taints=(Taint(key="nvidia.com/gpu", value="present", effect="NoSchedule"),),
    ),
)
ON_KUBERNETES = {
    "platform": "kubernetes",
    "kubernetes": {"registry": "registry.test/strata"},
    "gpu": {"mode": "require"},
}


def everything(stack: composed.Stack) -> None:
    """A system in which each kind of object there is occurs."""
    postgres = Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    AppJob(
        "migrate",
        AppJobArgs(
            stack=stack,
            image="application",
            command=("python3", "-m", "apps.migrate"),
            resources=SMALL,
            connections={"DATABASE": postgres.connection},
        ),
    )
    AppJob(
        "report",
        AppJobArgs(
            stack=stack,
            image="application",
            command=("python3", "-m", "apps.report"),
            resources=SMALL,
            schedule="0 3 * * *",
            egress=True,
            connections={"DATABASE": postgres.connection},
        ),
    )
    inference = GpuService(
        "inference",
        GpuServiceArgs(
            stack=stack,
            image="inference",
            zone=Zone.COMPUTE,
            resources=SMALL,
            replicas=2,
            volumes=(Volume(name="models", path="/models", size_gib=20, cache=True),),
            prepare=("python3", "-m", "apps.fetch"),
            gpu=Gpu(mode=GpuMode.REQUIRE, count=2, memory_mib=20000, image="inference-cuda"),
        ),
    )
    app = AppService(
        "app",
        AppServiceArgs(
            stack=stack,
            image="application",
            resources=Resources(memory_mib=128, cpu=1, cpu_reserved=0.25, shared_memory_mib=96),
            port=8000,
            egress=True,
            environment={"GREETING": "$(hello) $world"},
            connections={"DATABASE": postgres.connection},
            calls={"INFERENCE_URL": inference.endpoint()},
            files=(File(path="/etc/app/app.conf", content="a = 1\n"),),
            tmpfs=(Tmpfs(path="/scratch", size_mib=16),),
            after=("migrate",),
            replicas=3,
            capabilities=(Capability(name="NET_BIND_SERVICE", reason="it listens on 80"),),
            stop_signal="SIGQUIT",
            stop_grace_seconds=20,
            extra_hosts={"mail.example.com": "203.0.113.25"},
        ),
    )
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=(Route(path="/", endpoint=app.endpoint()),),
        ),
    )
    store = Datastore("store", DatastoreArgs(stack=stack, engine=REDIS_CLUSTER))
    AppService(
        "gossip",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            replicas=3,
            stateful=True,
            ports=(Port(name="gossip", number=9001, last=9003, protocol=Protocol.UDP, peers=True),),
            environment={"ORDINAL": Ordinal(), "HOST": ReplicaHost(), "PEERS": Peers()},
            connections={"STORE": store.connection},
        ),
    )
    workers = RayWorkers(
        resources=Resources(memory_mib=512, cpu=1),
        object_store_mib=128,
        gpu=Gpu(mode=GpuMode.REQUIRE),
        replicas=2,
    )
    RayCluster(
        "ray",
        RayClusterArgs(
            stack=stack,
            resources=Resources(memory_mib=1024, cpu=1),
            workers={"worker": workers},
            connections={"DATABASE": postgres.connection},
        ),
    )
    for name, other in (("left", "right"), ("right", "left")):
        AppService(
            name,
            AppServiceArgs(
                stack=stack,
                image="probe-server",
                resources=SMALL,
                links=(Endpoint(service=other, port="http", number=8000, waits=False),),
            ),
        )


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[clusters.Cluster]:
    """Another cluster than that of the other tests: this one is surveyed."""
    with clusters.running(tmp_path_factory.mktemp("any-cluster")) as running:
        furnish(running, GROUPS)
        running.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {
                    "name": "somebodys",
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": "storage.strata.tests",
                "volumeBindingMode": "WaitForFirstConsumer",
                "allowVolumeExpansion": True,
            }
        )
        yield running


@contextlib.contextmanager
def using(cluster: clusters.Cluster) -> Iterator[None]:
    """Has the program find the kubeconfig of the cluster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(cluster.kubeconfig))
        # The client reads the variable once, when it is imported, which another test may have done.
        patch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(cluster.kubeconfig))
        yield


@pytest.fixture(scope="module")
def stack(cluster: clusters.Cluster, counted: list[str]) -> Stack:
    with using(cluster):
        planned = plan(ON_KUBERNETES, stack="dev", compose=everything)
    running = up(cluster, planned)
    counted.append(
        f"every field on any Kubernetes: {len(planned.manifests)} objects applied;"
        f" {len(running.pods())} pods run"
    )
    return running


def test_it_is_planned_with_the_nodes_that_are_there(stack: Stack) -> None:
    found = {(one.nodes_maximum, one.cpu, one.memory_mib, one.gpus) for one in stack.plan.groups}
    assert found == {(one.nodes_maximum, one.cpu, one.memory_mib, one.gpus) for one in GROUPS}
    (gpu,) = [one for one in stack.plan.groups if one.gpus]
    assert gpu.gpu_memory_mib == 23034


def test_every_object_is_accepted(stack: Stack) -> None:
    assert stack.warnings == []
    kinds = {one["kind"] for one in stack.plan.manifests}
    assert kinds >= {
        "Job",
        "CronJob",
        "Deployment",
        "StatefulSet",
        "Secret",
        "ConfigMap",
        "Service",
    }
    for manifest in stack.plan.manifests:
        before = stack.cluster.read(manifest)["metadata"].get("generation")
        assert stack.cluster.apply(manifest)["metadata"].get("generation") == before


def test_every_replica_runs_where_it_may(stack: Stack) -> None:
    nodes = {one["metadata"]["name"]: one for one in stack.cluster.all("v1", "Node")}
    for name, service in stack.plan.services.items():
        pods = stack.pods(name)
        assert len(pods) == service.replicas
        for pod in pods:
            assert pod["status"]["phase"] == "Running"
            labels = nodes[pod["spec"]["nodeName"]]["metadata"]["labels"]
            assert ("nvidia.com/gpu.present" in labels) == (name in ("inference", "ray-worker"))
    # Each takes both GPUs of a node.
    assert len({one["spec"]["nodeName"] for one in stack.pods("inference")}) == 2


def test_a_job_runs_to_its_end_and_another_waits_for_its_hour(stack: Stack) -> None:
    cluster = stack.cluster

    def has_ended() -> Any:
        return cluster.read(stack.manifest("Job", "migrate"))["status"].get("succeeded") == 1

    cluster.until(has_ended, "the job has ended")
    report = cluster.read(stack.manifest("CronJob", "report"))
    assert not report["status"].get("lastScheduleTime")
    # Run now, it is admitted and fits, too.
    run = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "report-now", "namespace": stack.namespace},
        "spec": report["spec"]["jobTemplate"]["spec"],
    }
    cluster.apply(run, manager="tests")
    cluster.until(lambda: cluster.read(run).get("status", {}).get("succeeded") == 1, "it ran")


def test_the_network_is_the_links(stack: Stack, counted: list[str]) -> None:
    network = Network(stack)
    links = stack.plan.links()
    assert {client for client, _, _ in links} > {"migrate", "report"}
    found = compare(network, links)
    assert not found.differences
    assert {"migrate", "report"} < set(network.owners.values())
    counted.append(
        f"every field on any Kubernetes: {found.pairs} ordered pairs of {len(network.pods)} pods:"
        f" what NetworkPolicies select is the {len(links)} links"
    )
    reaching = {
        network.owners[name]
        for name, one in network.pods.items()
        if network.open(one, outside(INTERNET))
    }
    assert reaching == {"app", "report"}


def test_a_request_that_no_node_can_satisfy_is_refused_and_would_wait(stack: Stack) -> None:
    """What the plan refuses by name, the scheduler of the cluster leaves pending."""
    cluster = stack.cluster
    three = {**ON_KUBERNETES, "gpu": {"mode": "require", "count": 3}}
    with using(cluster), pytest.raises(InvalidStackError, match="inference"):
        plan(three, stack="dev")
    pod = stack.pods("inference")[0]["spec"]
    container = {**pod["containers"][0], "volumeMounts": []}
    container["resources"] = {"limits": {"nvidia.com/gpu": "3"}}
    wanted = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "three-gpus", "namespace": "default"},
        "spec": {
            "containers": [container],
            **{key: pod[key] for key in ("tolerations", "nodeSelector", "affinity")},
        },
    }
    cluster.apply(wanted, manager="tests")

    def waits() -> str:
        for one in cluster.read(wanted)["status"].get("conditions", ()):
            if one["type"] == "PodScheduled" and one["status"] == "False":
                return str(one["message"])
        return ""

    assert "Insufficient nvidia.com/gpu" in cluster.until(waits, "it waits")
    assert "nodeName" not in cluster.read(wanted)["spec"]
    cluster.delete(wanted)


def test_each_replica_has_its_name_its_claim_and_its_ordinal(stack: Stack) -> None:
    cluster = stack.cluster
    pods = {pod["metadata"]["name"]: pod for pod in stack.pods("store")}
    assert set(pods) == {f"store-{ordinal}" for ordinal in range(NODES)}
    for ordinal in range(NODES):
        pod = pods[f"store-{ordinal}"]
        assert pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == str(ordinal)
        # By these two its host name is resolved: store-0.store-pods.
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == (
            f"store-{ordinal}",
            "store-pods",
        )
        (claim,) = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        ]
        assert claim == f"data-store-{ordinal}"
        assert cluster.read(stack.manifest("PersistentVolumeClaim", claim))["status"]["phase"] == (
            "Bound"
        )
    (container,) = pods["store-0"]["spec"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    values = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert values["HOST"] == "$(STRATA_POD).store-pods"
    assert values["ORDINAL"] == "$(STRATA_ORDINAL)"
    assert values["PEERS"].split()[:2] == ["store-0.store-pods", "store-1.store-pods"]
    # Kubernetes expands only what it has read before.
    assert max(map(names.index, ("STRATA_POD", "STRATA_ORDINAL"))) < names.index("HOST")


def by_name(planned: Plan) -> dict[tuple[str, str], Any]:
    return {(one["kind"], one["metadata"]["name"]): one for one in planned.manifests}


def test_a_volume_with_data_is_enlarged_by_one_setting(stack: Stack) -> None:
    cluster = stack.cluster
    larger = {"store": {"volumes": {"data": {"sizeGib": 25}}}}
    with using(cluster):
        planned = plan({**ON_KUBERNETES, "services": larger}, stack="dev", compose=everything)
    old, new = by_name(stack.plan), by_name(planned)
    assert old.keys() == new.keys()
    claims = [("PersistentVolumeClaim", f"data-store-{ordinal}") for ordinal in range(NODES)]
    changed = {key for key in old if old[key] != new[key]}
    assert changed == {*claims, ("ResourceQuota", "quota")}
    before = {key: cluster.read(old[key]) for key in claims}
    pods = {pod["metadata"]["uid"] for pod in stack.pods("store")}
    for one in planned.manifests:
        cluster.apply(one)
    stack.until_ready()
    for key in claims:
        after = cluster.read(new[key])
        # The same claim, bound to the same volume: what the driver resizes in place.
        assert after["metadata"]["uid"] == before[key]["metadata"]["uid"]
        assert after["spec"]["volumeName"] == before[key]["spec"]["volumeName"]
        assert after["spec"]["resources"]["requests"]["storage"] == "25Gi"
    assert {pod["metadata"]["uid"] for pod in stack.pods("store")} == pods
