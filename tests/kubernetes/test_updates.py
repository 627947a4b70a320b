"""Updates and disruptions of the reference system leave as many replicas as they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strata.platforms.kubernetes.names import NAME
from tests.kubernetes.stack import Stack

REPLICATED = ("gateway", "api", "worker")
NOTE = "strata.tests/update"
NOWHERE = {"strata.tests/nowhere": "true"}


def template(**metadata_or_spec: Any) -> dict[str, Any]:
    return {"spec": {"template": metadata_or_spec}}


def deployment(stack: Stack, name: str) -> Any:
    return stack.cluster.read(stack.manifest("Deployment", name))


def least(workload: Any) -> int:
    """How many replicas an update must leave, as the stored object says."""
    unavailable = workload["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"]
    return int(workload["spec"]["replicas"] - unavailable)


def available(events: list[Any], at_first: list[Any]) -> list[int]:
    """How many pods were ready and not on their way out, after each event."""
    ready = {one["metadata"]["name"]: _is_ready(one) for one in at_first}
    counts = [sum(ready.values())]
    for event in events:
        pod = event["object"]
        ready[pod["metadata"]["name"]] = event["type"] != "DELETED" and _is_ready(pod)
        counts.append(sum(ready.values()))
    return counts


def _is_ready(pod: Any) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


@pytest.mark.parametrize("name", REPLICATED)
def test_a_rolling_update_keeps_its_replicas(reference: Stack, name: str) -> None:
    cluster = reference.cluster
    before, pods = deployment(reference, name), reference.pods(name)
    assert len(pods) == least(before) == 2
    since = cluster.version()
    cluster.patch(before, template(metadata={"annotations": {NOTE: "1"}}))
    reference.until_ready()
    cluster.until(lambda: len(reference.pods(name)) == 2, "the old pods are gone")
    events = cluster.history("v1", "Pod", reference.namespace, since, f"{NAME}={name}")
    counts = available(events, pods)
    assert min(counts) >= least(before), counts
    # One more at a time, as the quota and the nodes have room for.
    assert max(counts) == 3
    told = cluster.history("apps/v1", "Deployment", reference.namespace, since)
    seen = [
        one["object"]["status"].get("availableReplicas", 0)
        for one in told
        if one["object"]["metadata"]["name"] == name
    ]
    assert min(seen) >= least(before), seen
    after = reference.pods(name)
    assert {one["metadata"]["annotations"][NOTE] for one in after} == {"1"}
    assert not {one["metadata"]["uid"] for one in pods} & {one["metadata"]["uid"] for one in after}


def test_an_update_that_never_starts_takes_nothing_away(reference: Stack) -> None:
    cluster = reference.cluster
    before = {one["metadata"]["uid"] for one in reference.pods("api")}
    cluster.patch(deployment(reference, "api"), template(spec={"nodeSelector": NOWHERE}))

    def is_stuck() -> bool:
        found = deployment(reference, "api")
        pending = [one for one in reference.pods("api") if not one["spec"].get("nodeName")]
        return (
            bool(pending)
            and found["status"]["observedGeneration"] == found["metadata"]["generation"]
        )

    cluster.until(is_stuck, "the first new pod waits for a node")
    found = reference.pods("api")
    assert {one["metadata"]["uid"] for one in found if _is_ready(one)} == before
    assert deployment(reference, "api")["status"]["availableReplicas"] == 2
    # Back to what it was, with the pods that were there.
    gone = dict.fromkeys(NOWHERE)
    cluster.patch(deployment(reference, "api"), template(spec={"nodeSelector": gone}))
    reference.until_ready()
    assert {one["metadata"]["uid"] for one in reference.pods("api")} == before


@pytest.fixture
def cordoned(reference: Stack) -> Iterator[None]:
    """No node takes new pods."""
    for one in reference.nodes().values():
        reference.cluster.patch(one, {"spec": {"unschedulable": True}})
    yield
    uncordon(reference)
    reference.until_ready()


def uncordon(stack: Stack) -> None:
    for one in stack.nodes().values():
        stack.cluster.patch(one, {"spec": {"unschedulable": None}})


def evict(stack: Stack, pod: Any) -> Any:
    """Asks that a pod leaves its node, as draining a node does."""
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    return stack.cluster.api.send("POST", path, body)


def allowed(stack: Stack, name: str) -> int:
    budget = stack.cluster.read(stack.manifest("PodDisruptionBudget", name))
    return int(budget["status"]["disruptionsAllowed"])


@pytest.mark.parametrize("name", REPLICATED)
@pytest.mark.usefixtures("cordoned")
def test_one_replica_at_a_time_may_be_disrupted(reference: Stack, name: str) -> None:
    cluster = reference.cluster
    cluster.until(lambda: allowed(reference, name) == 1, "one may go")
    first, second = reference.pods(name)
    assert evict(reference, first).status_code == 201

    def waits() -> bool:
        pending = [one for one in reference.pods(name) if not one["spec"].get("nodeName")]
        return len(pending) == 1 and allowed(reference, name) == 0

    cluster.until(waits, "the one that takes its place has no node")
    refused = evict(reference, second)
    assert refused.status_code == 429, refused.text
    assert "disruption budget" in refused.text
    assert any(one["metadata"]["uid"] == second["metadata"]["uid"] for one in reference.pods(name))
    # Once the first is replaced, the second may go.
    uncordon(reference)
    reference.until_ready()
    cluster.until(lambda: allowed(reference, name) == 1, "the next one may go")
    assert evict(reference, second).status_code == 201


def test_a_datastore_of_one_comes_back_with_its_data(reference: Stack) -> None:
    """With one replica there is no budget that could be kept: a node that is drained takes it along, and it starts
    again where its volume is."""
    cluster = reference.cluster
    budgets = {
        one["metadata"]["name"]
        for one in cluster.all("policy/v1", "PodDisruptionBudget", reference.namespace)
    }
    alone = {name for name, one in reference.plan.services.items() if one.replicas == 1}
    assert "postgres" in alone
    assert not budgets & alone
    (before,) = reference.pods("postgres")
    nodes = reference.nodes()
    zone = "topology.kubernetes.io/zone"
    volumes = claims(reference, before)
    home = nodes[before["spec"]["nodeName"]]
    cluster.patch(home, {"spec": {"unschedulable": True}})
    try:
        assert evict(reference, before).status_code == 201

        def is_back() -> bool:
            found = reference.pods("postgres")
            return bool(found) and found[0]["metadata"]["uid"] != before["metadata"]["uid"]

        cluster.until(is_back, "postgres comes back")
        reference.until_ready()
    finally:
        cluster.patch(home, {"spec": {"unschedulable": None}})
    (after,) = reference.pods("postgres")
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["spec"]["nodeName"] != before["spec"]["nodeName"]
    there = nodes[after["spec"]["nodeName"]]["metadata"]["labels"][zone]
    assert there == home["metadata"]["labels"][zone]
    assert claims(reference, after) == volumes != {}


def claims(stack: Stack, pod: Any) -> dict[str, str]:
    """The volumes of a pod's claims, by claim."""
    mounted = {
        one["persistentVolumeClaim"]["claimName"]
        for one in pod["spec"]["volumes"]
        if "persistentVolumeClaim" in one
    }
    return {
        one["metadata"]["name"]: one["spec"]["volumeName"]
        for one in stack.cluster.all("v1", "PersistentVolumeClaim", stack.namespace)
        if one["metadata"]["name"] in mounted
    }
