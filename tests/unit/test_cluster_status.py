"""How `strata status` and `restart` read the objects of a cluster."""

from typing import Any

import pytest

from strata.ops.kubernetes.cluster import PodUsage, usage
from strata.ops.kubernetes.restart import Rollout, rollout, unready
from strata.ops.kubernetes.status import containers
from strata.ops.kubernetes.top import usages
from strata.ops.status import ContainerStatus, Status, lines
from strata.ops.top import lines as top_lines
from strata.platforms.kubernetes.pod_state import state
from strata.platforms.kubernetes.progress import new
from tests.unit.cluster_objects import SCHEDULED, Json, container, controller, job, metadata, pod

NO_NODE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available.",
}
NOT_READY = {"type": "Ready", "status": "False"}


def waiting(reason: str, message: str = "", **more: Any) -> Json:
    state = {"waiting": {"reason": reason, "message": message}}
    return container("api", state, started=False, **more)


def ended(reason: str, status: int) -> Json:
    return {"terminated": {"reason": reason, "exitCode": status}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("healthy", "")),
        ({"conditions": (SCHEDULED, NOT_READY)}, ("unhealthy", "")),
        (
            {
                "conditions": (SCHEDULED, NOT_READY),
                "statuses": (container("api", started=False),),
            },
            ("starting", ""),
        ),
        (
            {"phase": "Pending", "conditions": (NO_NODE,), "statuses": ()},
            ("pending", "Unschedulable: 0/3 nodes are available: 3 Insufficient memory"),
        ),
        ({"phase": "Pending", "conditions": (), "statuses": ()}, ("pending", "")),
        (
            {"phase": "Pending", "conditions": (SCHEDULED,), "statuses": ()},
            ("starting", ""),
        ),
        (
            {
                "phase": "Pending",
                "conditions": (SCHEDULED, NOT_READY),
                "statuses": (waiting("ContainerCreating"),),
            },
            ("starting", ""),
        ),
        (
            {
                "phase": "Pending",
                "conditions": (SCHEDULED, NOT_READY),
                "statuses": (waiting("ImagePullBackOff", 'Back-off pulling image "app:1"'),),
            },
            ("unhealthy", 'ImagePullBackOff: Back-off pulling image "app:1"'),
        ),
        (
            {
                "conditions": (SCHEDULED, NOT_READY),
                "statuses": (waiting("CrashLoopBackOff", lastState=ended("Error", 3)),),
            },
            ("unhealthy", "CrashLoopBackOff: exited with status 3"),
        ),
        (
            {
                "conditions": (SCHEDULED, NOT_READY),
                "statuses": (waiting("CrashLoopBackOff", lastState=ended("OOMKilled", 137)),),
            },
            ("unhealthy", "CrashLoopBackOff: out of memory"),
        ),
        (
            {
                "phase": "Pending",
                "conditions": (SCHEDULED, NOT_READY),
                "statuses": (waiting("PodInitializing"),),
                "status": {
                    "initContainerStatuses": [
                        waiting("CrashLoopBackOff", lastState=ended("Error", 1))
                    ]
                },
            },
            ("unhealthy", "CrashLoopBackOff: exited with status 1"),
        ),
        ({"deletionTimestamp": "2026-01-31T12:00:00Z"}, ("terminating", "")),
        (
            {"phase": "Running", "component": "job", "conditions": (SCHEDULED,)},
            ("running", ""),
        ),
        ({"phase": "Succeeded", "component": "job"}, ("succeeded", "")),
        (
            {
                "phase": "Failed",
                "component": "job",
                "statuses": (container("api", ended("Error", 3)),),
            },
            ("failed with status 3", ""),
        ),
        (
            {
                "phase": "Failed",
                "component": "job",
                "statuses": (),
                "status": {"reason": "DeadlineExceeded", "message": "It took too long."},
            },
            ("failed", "DeadlineExceeded: It took too long"),
        ),
    ],
)
def test_the_state_of_a_pod(given: Any, expected: tuple[str, str]) -> None:
    assert state(pod("api-1", "api", **given)) == expected


def test_a_long_message_is_cut() -> None:
    _, reason = state(pod("api-1", "api", statuses=(waiting("ErrImagePull", "x" * 500),)))
    assert len(reason) == len("ErrImagePull: ") + 160 + len("...")


def read(workloads: list[Json], pods: list[Json]) -> list[ContainerStatus]:
    return list(containers(workloads, pods, {"api-1": PodUsage(memory_mib=50, cores=0.25)}, {}))


def test_a_row_has_use_limits_and_image() -> None:
    (row,) = read([controller("api")], [pod("api-1", "api")])
    assert (row.name, row.service, row.state) == ("api-1", "api", "healthy")
    assert (row.memory_mib, row.memory_limit_mib, row.cores, row.cores_limit) == (
        50,
        256,
        0.25,
        0.5,
    )
    assert row.image == "registry.test/app@sha256:0123456789ab"
    gpu = pod("api-1", "api")
    gpu["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] = "2"
    assert read([controller("api")], [gpu])[0].gpus == 2


def test_pods_that_do_not_exist_are_missing_with_the_reason() -> None:
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": 'pods "api-x" is forbidden: exceeded quota: quota',
    }
    api = controller("api", 3, status={"conditions": [failure]})
    going = pod("api-2", "api", deletionTimestamp="2026-01-31T12:00:00Z")
    found = read([api], [pod("api-1", "api"), going])
    assert [each.state for each in found] == ["healthy", "terminating", "missing", "missing"]
    assert found[-1].reason == 'FailedCreate: pods "api-x" is forbidden: exceeded quota: quota'
    agent = controller("agent", kind="DaemonSet", status={"desiredNumberScheduled": 1})
    assert [each.state for each in read([agent], [])] == ["missing"]


def test_a_failed_pod_of_a_service_is_left_out() -> None:
    """Its controller has replaced it."""
    evicted = pod("api-2", "api", phase="Failed", status={"reason": "Evicted"})
    assert [each.name for each in read([controller("api")], [pod("api-1", "api"), evicted])] == [
        "api-1"
    ]


def test_the_newest_pod_of_a_job_counts() -> None:
    failed = pod("seed-1", "seed", component="job", phase="Failed", statuses=())
    done = pod(
        "seed-2",
        "seed",
        component="job",
        phase="Succeeded",
        creationTimestamp="2026-01-31T12:00:01Z",
    )
    (row,) = read([job("seed")], [done, failed])
    assert (row.name, row.state) == ("seed-2", "succeeded")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (job("seed", conditions=({"type": "Complete", "status": "True"},)), "succeeded"),
        (
            job(
                "seed",
                conditions=({"type": "Failed", "status": "True", "reason": "DeadlineExceeded"},),
            ),
            "failed",
        ),
        (job("seed"), "missing"),
        (job("seed", "CronJob"), "scheduled"),
    ],
)
def test_a_job_without_a_pod(given: Json, expected: str) -> None:
    assert [each.state for each in read([given], [])] == [expected]


def test_a_run_of_a_schedule_is_shown_once() -> None:
    run = job("nightly-1")
    run["metadata"] = metadata("nightly-1", "nightly", "job", ownerReferences=[{"kind": "CronJob"}])
    ran = pod("nightly-1-x", "nightly", component="job", phase="Succeeded")
    assert [each.name for each in read([run, job("nightly", "CronJob")], [ran])] == ["nightly-1-x"]


def test_reasons_are_below_the_table() -> None:
    rows = read([controller("api", 2)], [pod("api-1", "api", conditions=(NO_NODE,), statuses=())])
    found = Status(
        stack="prod",
        containers=tuple(rows),
        alerts_problem="not read",
        alerts=(),
        disk_free=None,
        last_backup=None,
        dashboards=None,
        logs=None,
        login=None,
    )
    assert list(lines(found)) == [
        "prod: 0 of 2 containers are healthy",
        "",
        "CONTAINER  STATE    RESTARTS  MEMORY, MIB  CORES        GPUS  IMAGE"
        "                                  URL",
        "api-1      pending  0         50 of 256    0.25 of 0.5  -     "
        "registry.test/app@sha256:0123456789ab",
        "api        missing  0         - of 0       - of 0       -",
        "",
        "api-1: Unschedulable: 0/3 nodes are available: 3 Insufficient memory",
        "",
        "Alerts:      unknown: not read",
    ]


def test_what_the_metrics_api_measures() -> None:
    measured = {
        "metadata": {"name": "api-1"},
        "containers": [
            {"name": "api", "usage": {"cpu": "250000000n", "memory": "65536Ki"}},
            {"name": "proxy", "usage": {"cpu": "10m", "memory": "1Mi"}},
        ],
    }
    used = usage([measured])
    assert used == {"api-1": PodUsage(memory_mib=65, cores=0.26)}
    assert list(top_lines(usages([pod("api-1", "api"), pod("api-2", "api")], used))) == [
        "CONTAINER  MEMORY, MIB  USED  CORES        PROCESSES",
        "api-1      65 of 256    25%   0.26 of 0.5  -",
        "",
        "1 containers: 65 of 256 MiB, 0.26 cores",
    ]


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        # The controller hasn't seen the change yet: these are the old pods.
        ("Deployment", (1, 2, 2, 2), Rollout(done=0, wanted=2, is_complete=False)),
        # One more pod, which isn't ready.
        ("Deployment", (2, 3, 1, 2), Rollout(done=0, wanted=2, is_complete=False)),
        ("Deployment", (2, 3, 2, 2), Rollout(done=1, wanted=2, is_complete=False)),
        # The last old pod is still there.
        ("Deployment", (2, 3, 2, 3), Rollout(done=2, wanted=2, is_complete=False)),
        ("Deployment", (2, 2, 2, 2), Rollout(done=2, wanted=2, is_complete=True)),
        ("StatefulSet", (2, 2, 1, 1), Rollout(done=0, wanted=2, is_complete=False)),
        ("StatefulSet", (2, 2, 2, 2), Rollout(done=2, wanted=2, is_complete=True)),
        ("DaemonSet", (2, 2, 1, 2), Rollout(done=1, wanted=2, is_complete=False)),
        ("DaemonSet", (2, 2, 2, 2), Rollout(done=2, wanted=2, is_complete=True)),
    ],
)
def test_how_far_a_rollout_is(
    kind: str, status: tuple[int, int, int, int], expected: Rollout
) -> None:
    """`status`: the generation that the controller has seen, all pods, the new ones, and those available."""
    names = ("replicas", "updatedReplicas", "availableReplicas")
    if kind == "DaemonSet":
        names = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    generation, *counts = status
    known = {
        "observedGeneration": generation,
        "desiredNumberScheduled": 2,
        **dict(zip(names, counts, strict=True)),
    }
    assert rollout(controller("api", 2, kind, known)) == expected


def test_pods_that_a_rollout_waits_for() -> None:
    pods = [
        pod("api-1", "api"),
        pod("api-2", "api", conditions=(NO_NODE,), statuses=()),
        pod("api-3", "api", deletionTimestamp="2026-01-31T12:00:00Z"),
    ]
    reason = "Unschedulable: 0/3 nodes are available: 3 Insufficient memory"
    assert unready(pods) == f"api-2 is pending ({reason})"


def test_an_update_says_once_what_it_waits_for() -> None:
    reported: dict[str, str] = {}
    without_node = pod("api-1", "api", phase="Pending", conditions=(NO_NODE,), statuses=())
    ((service, message),) = new([without_node, pod("api-2", "api"), without_node], reported)
    assert service == "api"
    assert "is pending: Unschedulable: 0/3 nodes are available: 3 Insufficient memory" in message
    assert list(new([without_node], reported)) == []
    crashed = waiting("CrashLoopBackOff", lastState=ended("Error", 3))
    ((_, message),) = new([pod("api-1", "api", statuses=(crashed,))], reported)
    assert "CrashLoopBackOff: exited with status 3" in message
