"""The reference system has room for all that it may grow to, and for no pod more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kubernetes.stack import Stack

QUOTA = "quota"


@pytest.fixture
def at_its_largest(reference: Stack) -> Iterator[Stack]:
    """Every service has as many replicas as its autoscaler may give it, and all of them run."""
    growing = [one for one in reference.plan.services.values() if one.replicas_maximum]
    assert growing
    for one in growing:
        scale(reference, one.name, one.replicas_maximum or one.replicas)
    reference.until_ready()
    yield reference
    for one in growing:
        scale(reference, one.name, one.replicas)
    reference.until_ready()


def scale(stack: Stack, name: str, replicas: int) -> None:
    deployment = stack.manifest("Deployment", name)
    stack.cluster.patch(deployment, {"spec": {"replicas": replicas}}, "/scale")


def quota(stack: Stack) -> Any:
    (manifest,) = [
        one
        for one in stack.plan.of("ResourceQuota")
        if one["metadata"]["namespace"] == stack.namespace
    ]
    assert manifest["metadata"]["name"] == QUOTA
    return stack.cluster.read(manifest)["status"]


def extra(stack: Stack, deployment: Any) -> Any:
    """One pod more of a Deployment, which belongs to nobody."""
    stored = stack.cluster.read(deployment)
    metadata = {"generateName": "extra-", "labels": {"strata.tests": "extra"}}
    body = {"metadata": metadata, "spec": stored["spec"]["template"]["spec"]}
    return stack.cluster.api.send("POST", f"/api/v1/namespaces/{stack.namespace}/pods", body)


def remove_extra(stack: Stack) -> None:
    path = f"/api/v1/namespaces/{stack.namespace}/pods"
    stack.cluster.api.send("DELETE", path, parameters={"labelSelector": "strata.tests=extra"})
    stack.cluster.until(
        lambda: (
            not [
                one
                for one in stack.cluster.all("v1", "Pod", stack.namespace)
                if "strata.tests" in one["metadata"]["labels"]
            ]
        ),
        "the pods of this test are gone",
    )


def test_the_stack_has_its_quota(reference: Stack) -> None:
    found = quota(reference)
    pods = reference.cluster.all("v1", "Pod", reference.namespace)

    def counted() -> bool:
        return int(quota(reference)["used"]["pods"]) == len(pods)

    reference.cluster.until(counted, "the quota counts all pods")
    assert set(found["used"]) == set(found["hard"])
    assert {"pods", "limits.cpu", "limits.memory", "requests.nvidia.com/gpu"} <= set(found["hard"])


def test_it_ends_where_the_autoscalers_and_an_update_do(at_its_largest: Stack) -> None:
    """While it is largest, each Deployment may have the one pod more that an update starts first, and what runs on
    every node one on each node that joins before another leaves; and no other."""
    stack = at_its_largest
    nodes = len(stack.nodes())
    counts = {
        name: nodes if one.on_every_node else one.replicas_at_most
        for name, one in stack.plan.services.items()
    }
    assert {name: len(stack.pods(name)) for name in counts} == counts
    deployments = stack.plan.of("Deployment")
    ours = [one for one in deployments if one["metadata"]["namespace"] == stack.namespace]
    daemons = [
        one
        for one in stack.plan.of("DaemonSet")
        if one["metadata"]["namespace"] == stack.namespace
        and one["metadata"]["name"] in stack.plan.services
    ]
    try:
        for one in [*ours, *(daemons * nodes)]:
            answer = extra(stack, one)
            assert answer.status_code == 201, (one["metadata"]["name"], answer.text)
        for one in ours:
            answer = extra(stack, one)
            assert answer.status_code == 403, (one["metadata"]["name"], answer.text)
            assert f"exceeded quota: {QUOTA}" in answer.text
    finally:
        remove_extra(stack)
