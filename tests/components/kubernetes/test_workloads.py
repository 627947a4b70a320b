"""Which workload a service becomes, how many of it there are, and how it is updated."""

from typing import Any

import pytest

from strata.components import Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis import REDIS
from strata.model import DeletionPolicy, GpuMode, HttpProbe, Probe, Volume
from strata.stack import Stack
from tests.components.example import application, on_gpu
from tests.components.kubernetes.example import composed, pod, workload
from tests.components.kubernetes.stack import NAMES, SYSTEM, FakeCluster, compose, gpu_group

CACHE = Volume(name="models", path="/models", size_gib=3, cache=True)


def test_an_update_takes_nothing_away_before_it_has_added() -> None:
    spec = workload(replicas=2)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["replicas"] == 2
    assert spec["minReadySeconds"] == 10
    assert "minReadySeconds" not in workload(replicas=1)["spec"]


def test_without_a_gpu_to_spare_an_update_takes_one_away_first() -> None:
    def strategy(nodes: int) -> dict[str, Any]:
        group = gpu_group(nodes_maximum=nodes)
        recorded = compose(
            lambda stack: _model(stack), cluster=FakeCluster(groups=(SYSTEM, group))
        ).recorded
        return dict(recorded.workload("model")["spec"]["strategy"]["rollingUpdate"])

    assert strategy(1) == {"maxUnavailable": 1, "maxSurge": 0}
    assert strategy(2) == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_single_one_has_no_budget_that_would_hold_up_a_node() -> None:
    assert composed().recorded.of("PodDisruptionBudget") == {}


def test_replicas_are_apart_and_not_taken_away_together() -> None:
    recorded = composed(replicas=3).recorded
    budget = recorded.only("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == {"matchLabels": NAMES.selector("app")}
    spread = recorded.pod("app")["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]


def test_an_autoscaler_has_the_say_over_the_number() -> None:
    recorded = composed(replicas=2, replicas_maximum=5).recorded
    assert recorded.workload("app")["spec"]["replicas"] == 2
    assert recorded.ignored["Deployment", "app"] == ["spec.replicas"]
    assert composed(replicas=2).recorded.ignored["Deployment", "app"] == []
    scaler = recorded.only("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "app",
    }
    assert recorded.only("PodDisruptionBudget")


def test_data_is_a_protected_claim_that_is_kept() -> None:
    def describe(stack: Stack) -> None:
        Datastore("db", DatastoreArgs(stack=stack, engine=POSTGRES))

    recorded = compose(describe).recorded
    spec = recorded.inputs["StatefulSet", "db"]["spec"]
    # The template is only the name that the pod looks for; the claim itself can be enlarged.
    (template,) = spec["volumeClaimTemplates"]
    assert template["metadata"]["name"] == "data"
    claim = recorded.inputs["PersistentVolumeClaim", "data-db-0"]
    assert ("PersistentVolumeClaim", "data-db-0") in recorded.protected
    assert claim["metadata"]["labels"]["strata.backup"] == "a-backup"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "strata-data",
        "resources": {"requests": {"storage": "10Gi"}},
    }
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert ("StatefulSet", "db") in recorded.protected
    # With the namespace, the claims in it would go.
    assert any(kind == "Namespace" for kind, _ in recorded.protected)


def test_data_can_be_deleted_with_its_service() -> None:
    data = Volume(name="data", path="/data", deletion_policy=DeletionPolicy.DELETE)
    recorded = composed(volumes=(data,)).recorded
    assert ("PersistentVolumeClaim", "data-app-0") in recorded.inputs
    assert recorded.protected == set()


def test_a_cache_goes_with_its_service() -> None:
    recorded = composed(volumes=(CACHE,), replicas=2).recorded
    spec = recorded.inputs["StatefulSet", "app"]["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "strata-cache"
    assert claim["spec"]["resources"]["requests"] == {"storage": "3Gi"}
    assert "strata.backup" not in claim["metadata"]["labels"]
    assert claim["metadata"]["labels"]["strata.cache"] == "true"
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Delete",
        "whenScaled": "Delete",
    }
    assert recorded.protected == set()


def test_pods_with_volumes_have_names() -> None:
    recorded = composed(volumes=(CACHE,)).recorded
    name = recorded.workload("app")["spec"]["serviceName"]
    headless = recorded.inputs["Service", name]
    assert headless["metadata"]["name"] == name
    assert headless["spec"]["clusterIP"] == "None"
    mounts = recorded.container("app")["volumeMounts"]
    assert {"name": "models", "mountPath": "/models"} in mounts


def test_the_provider_waits_for_a_start_and_for_a_node() -> None:
    probe = Probe(check=HttpProbe(port=8000), ready_within_seconds=100)
    recorded = composed(probe=probe, replicas=2).recorded
    assert recorded.workload("app")["spec"]["progressDeadlineSeconds"] == 400
    # The two pods are replaced one after the other: 10 s to stop, 100 s to start, then ready for 10 s.
    assert recorded.timeouts["Deployment", "app"] == "540s"


def test_what_prepares_it_has_the_time_of_a_job() -> None:
    spec = workload(prepare=("fetch",))["spec"]
    assert spec["progressDeadlineSeconds"] == 300 + 3600 + 120


def test_a_gpu_node_may_come_from_none() -> None:
    recorded = compose(
        lambda stack: _model(stack), cluster=FakeCluster(groups=(SYSTEM, gpu_group()))
    ).recorded
    assert recorded.workload("model")["spec"]["progressDeadlineSeconds"] == 900 + 120


def test_clients_start_after_their_servers() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server")
        application(stack, "client", server.endpoint())

    recorded = compose(describe).recorded
    assert ("Deployment", "server") in recorded.dependencies["Deployment", "client"]
    assert ("Deployment", "client") not in recorded.dependencies["Deployment", "server"]


def test_a_pod_starts_after_there_are_nodes() -> None:
    assert ("ConfigMap", "nodes") in composed().recorded.dependencies["Deployment", "app"]


def test_a_pod_starts_after_what_it_names_and_what_bounds_it() -> None:
    recorded = composed().recorded
    needed = {kind for kind, _ in recorded.dependencies["Deployment", "app"]}
    assert {"ServiceAccount", "NetworkPolicy", "ResourceQuota", "PriorityClass"} <= needed


@pytest.mark.parametrize("kind", ["application", "datastore"])
def test_data_comes_before_applications(kind: str) -> None:
    def describe(stack: Stack) -> None:
        if kind == "datastore":
            Datastore("app", DatastoreArgs(stack=stack, engine=REDIS))
        else:
            application(stack, "app")

    recorded = compose(describe).recorded
    named = recorded.pod("app")["priorityClassName"]
    values = {
        one["metadata"]["name"]: one["value"] for one in recorded.of("PriorityClass").values()
    }
    assert named == f"strata-test-{kind}"
    assert (
        values["strata-test-datastore"]
        > values["strata-test-gateway"]
        > values["strata-test-application"]
        > 0
    )


def test_every_resource_has_the_provider_of_the_cluster_and_its_component() -> None:
    recorded = composed(replicas=2, published=8080).recorded
    for key in recorded.objects:
        assert "::cluster::" in recorded.providers[key], key
    assert recorded.parents["Deployment", "app"] == "app"


def _model(stack: Stack) -> None:
    on_gpu(stack, "model", GpuMode.REQUIRE)


def test_one_replica_is_spread_nowhere() -> None:
    assert "topologySpreadConstraints" not in pod()
