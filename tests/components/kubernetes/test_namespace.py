"""The namespace of a stack: restricted, and bounded by what the stack is at its largest."""

import pytest

from strata.components import Datastore, DatastoreArgs
from strata.components.engines.redis import REDIS
from strata.model import GpuMode
from strata.platforms.kubernetes.cluster import Allowance
from strata.platforms.kubernetes.formatting import cores, mebibytes
from strata.stack import Stack
from tests.components.example import SMALL, application, on_gpu
from tests.components.kubernetes.example import composed, job
from tests.components.kubernetes.stack import NAMESPACE, SYSTEM, FakeCluster, compose, gpu_group


def test_it_enforces_the_restricted_profile() -> None:
    metadata = composed().recorded.only("Namespace")["metadata"]
    assert metadata["name"] == NAMESPACE
    for mode in ("enforce", "audit", "warn"):
        assert metadata["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert metadata["labels"][f"pod-security.kubernetes.io/{mode}-version"] == "v1.35"


def test_the_quota_is_the_stack_at_its_largest() -> None:
    def describe(stack: Stack) -> None:
        # Five of it and one more while it is updated.
        application(stack, "app", replicas=2, replicas_maximum=5, published=8080)
        # A StatefulSet has none more.
        Datastore("db", DatastoreArgs(stack=stack, engine=REDIS, resources=SMALL))
        job(stack)
        on_gpu(stack, "model", GpuMode.REQUIRE)

    recorded = compose(describe, cluster=FakeCluster(groups=(SYSTEM, gpu_group()))).recorded
    assert recorded.only("ResourceQuota")["spec"]["hard"] == {
        "pods": "10",
        "requests.cpu": "1250m",
        "limits.cpu": "5",
        "requests.memory": "640Mi",
        "limits.memory": "640Mi",
        "persistentvolumeclaims": "1",
        "requests.storage": "10Gi",
        "services.loadbalancers": "1",
        "requests.nvidia.com/gpu": "2",
    }


def test_what_the_target_adds_has_room_and_a_place() -> None:
    told: list[tuple[str, str]] = []
    recorded = compose(
        lambda stack: _application(stack),
        cluster=FakeCluster(
            allowance=Allowance(pods=3, cpu=0.5, memory_mib=64),
            in_namespace=lambda objects, before: told.append((objects.namespace, before[0]._name)),
        ),
    ).recorded
    hard = recorded.only("ResourceQuota")["spec"]["hard"]
    # One pod, one more while it is updated, and three of the target's.
    assert (hard["pods"], hard["requests.cpu"], hard["requests.memory"]) == ("5", "750m", "192Mi")
    assert told == [(NAMESPACE, NAMESPACE)]


@pytest.mark.parametrize(
    ("amount", "written"),
    [(1, "1Mi"), (1000, "1000Mi"), (1024, "1Gi"), (1024**2, "1Ti"), (0, "0Mi")],
)
def test_memory_is_written_as_it_is_read_back(amount: int, written: str) -> None:
    assert mebibytes(amount) == written


@pytest.mark.parametrize(
    ("amount", "written"), [(1, "1"), (0.25, "250m"), (1.5, "1500m"), (0.0001, "1m"), (3.9999, "4")]
)
def test_cores_are_written_as_they_are_read_back(amount: float, written: str) -> None:
    assert cores(amount) == written


def _application(stack: Stack) -> None:
    application(stack, "app")


def test_without_data_it_may_go() -> None:
    assert composed().recorded.protected == set()
