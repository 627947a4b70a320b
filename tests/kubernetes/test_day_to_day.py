"""`strata status` and `strata restart` on a stack in a cluster, by the command and by the API of a real control
plane. Nodes are simulated, so no pod has a log, a shell or metrics."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiClient
from kubernetes.config import kube_config

from strata.errors import OpsError
from strata.ops.kubernetes import restart as restarts
from strata.ops.kubernetes.cluster import Cluster
from strata.ops.kubernetes.restart import RESTARTED_AT, restart
from strata.platforms.kubernetes import api_client
from tests.kubernetes.stack import Stack, owner_of
from tests.project import REPOSITORY

CONTEXT = "context"
NOWHERE = {"strata.tests/nowhere": "true"}
SETTINGS = {
    "strata:platform": "eks",
    "strata:domain": "strata.example.com",
    "strata:kubernetes": {"context": CONTEXT},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a project with the settings of the stack; no backend knows it."""
    (tmp_path / "Pulumi.yaml").write_text("name: strata\nruntime: python\n")
    (tmp_path / "Pulumi.prod.yaml").write_text(json.dumps({"config": SETTINGS}))
    return tmp_path


@pytest.fixture
def connected(reference: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    path = str(reference.cluster.kubeconfig)
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", path)
    configuration, context = api_client.configuration(None)
    with ApiClient(configuration) as client:
        yield Cluster(client=client, context=context, names=reference.names)


def strata(stack: Stack, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "strata", *arguments, "--stack", "prod"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": f"{REPOSITORY}:{os.environ.get('PYTHONPATH', '')}",
            "KUBECONFIG": str(stack.cluster.kubeconfig),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def status(stack: Stack, folder: Path) -> Any:
    done = strata(stack, folder, "status", "--json")
    assert done.stdout, done.stderr
    shown = json.loads(done.stdout)
    assert done.returncode == (0 if shown["healthy"] else 1)
    return shown


def rows(shown: Any, service: str) -> list[Any]:
    return [each for each in shown["containers"] if each["service"] == service]


def test_status_of_a_healthy_stack(reference: Stack, folder: Path) -> None:
    done = strata(reference, folder, "status")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "https://strata.example.com/grafana/" in done.stdout
    shown = status(reference, folder)
    # The cluster's own pods are in both namespaces, too.
    own = [each for each in reference.pods() if owner_of(each) in reference.plan.services]
    assert {each["name"] for each in shown["containers"]} == {
        each["metadata"]["name"] for each in own
    }
    assert len(own) < len(reference.pods())
    api = rows(shown, "api")
    assert [each["state"] for each in api] == ["healthy", "healthy"]
    assert (api[0]["memory_limit_mib"], api[0]["cores_limit"]) == (256, 1)
    assert (api[0]["memory_mib"], api[0]["cores"]) == (None, None)
    assert "application@sha256:" in api[0]["image"]
    assert rows(shown, "gateway")[0]["urls"] == ["https://strata.example.com"]
    assert [each["gpus"] for each in rows(shown, "inference")] == [1]
    assert rows(shown, "log-agent")


def selecting(nodes: Mapping[str, str | None]) -> Any:
    return {"spec": {"template": {"spec": {"nodeSelector": nodes}}}}


def test_status_of_a_pod_without_a_node(reference: Stack, folder: Path) -> None:
    cluster, api = reference.cluster, reference.manifest("Deployment", "api")
    cluster.patch(api, selecting(NOWHERE))
    try:
        states = cluster.until(
            lambda: [
                each
                for each in rows(status(reference, folder), "api")
                if each["state"] == "pending" and each["reason"]
            ],
            "the new pod is shown",
        )
    finally:
        cluster.patch(api, selecting(dict.fromkeys(NOWHERE)))
        reference.until_ready()
    (row,) = states
    assert row["reason"].startswith("Unschedulable: 0/")
    assert "nodes are available" in row["reason"]


def test_status_of_a_pod_that_can_not_be_created(reference: Stack, folder: Path) -> None:
    cluster = reference.cluster
    (quota,) = cluster.all("v1", "ResourceQuota", reference.namespace)
    allowed = quota["spec"]["hard"]["pods"]
    cluster.patch(quota, {"spec": {"hard": {"pods": "0"}}})
    try:
        cluster.delete({"apiVersion": "v1", "kind": "Pod", **reference.pods("worker")[0]})
        (row,) = cluster.until(
            lambda: [
                each
                for each in rows(status(reference, folder), "worker")
                if each["state"] == "missing" and each["reason"]
            ],
            "the missing pod is shown",
        )
    finally:
        cluster.patch(quota, {"spec": {"hard": {"pods": allowed}}})
        reference.until_ready()
    assert row["name"] == "worker"
    assert row["reason"].startswith("FailedCreate: ")
    assert "exceeded quota" in row["reason"]


def test_restart_of_one_service(reference: Stack, folder: Path) -> None:
    before = {each["metadata"]["uid"]: each for each in reference.pods()}
    done = strata(reference, folder, "restart", "worker")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "restarted 2 containers of prod" in done.stdout
    after = reference.pods()
    new = [each for each in after if each["metadata"]["uid"] not in before]
    assert [owner_of(each) for each in new] == ["worker", "worker"]
    again = strata(reference, folder, "restart", "nobody")
    assert again.returncode == 1
    assert "stack prod: has no service nobody" in again.stderr


def test_services_of_every_kind_restart_in_order(reference: Stack, connected: Cluster) -> None:
    """A StatefulSet, a Deployment, and a DaemonSet in the namespace of agents."""
    names = ["postgres", "inference", "log-agent"]
    before = {name: uids(reference, name) for name in names}
    count = restart(connected, names)
    assert count == sum(map(len, before.values()))
    for name in names:
        assert not uids(reference, name) & before[name]
    created = [
        max(each["metadata"]["creationTimestamp"] for each in reference.pods(name))
        for name in names
    ]
    assert created == sorted(created)


def uids(stack: Stack, service: str) -> set[str]:
    return {each["metadata"]["uid"] for each in stack.pods(service)}


def test_an_update_leaves_a_restart_alone(reference: Stack, connected: Cluster) -> None:
    """Applied again on the server by the manager that applied it first, as `pulumi up` does."""
    cluster, manifest = reference.cluster, reference.manifest("Deployment", "api")
    restart(connected, ["api"])
    before, pods = cluster.read(manifest), uids(reference, "api")
    assert RESTARTED_AT in before["spec"]["template"]["metadata"]["annotations"]
    after = cluster.apply(manifest)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["spec"]["template"] == before["spec"]["template"]
    assert uids(reference, "api") == pods


def test_a_restart_that_makes_no_progress_fails_with_the_reason(
    reference: Stack, connected: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "PROGRESS_SECONDS", 5)
    cluster, worker = reference.cluster, uids(reference, "worker")
    for node in reference.nodes().values():
        cluster.patch(node, {"spec": {"unschedulable": True}})
    try:
        with pytest.raises(OpsError) as caught:
            restart(connected, ["redis", "worker"])
    finally:
        for node in reference.nodes().values():
            cluster.patch(node, {"spec": {"unschedulable": None}})
        reference.until_ready()
    assert "service redis: 0 of 1 pods are restarted and ready" in caught.value.message
    assert "redis-0 is pending (Unschedulable: 0/" in caught.value.message
    assert uids(reference, "worker") == worker
