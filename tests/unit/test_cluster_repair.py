"""What `strata repair` makes of a state with pending operations, with a CLI and a cluster that only answer."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from kubernetes.client import Configuration

from strata.errors import ClusterError
from strata.ops.kubernetes import repair
from strata.platforms.kubernetes import api_client

PROVIDER = "urn:pulumi:prod::shop::pulumi:providers:kubernetes::cluster"
LABELS = {"app.kubernetes.io/instance": "prod", "app.kubernetes.io/name": "api"}


def resource(name: str, kind: str = "Secret", **more: Any) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:prod::shop::kubernetes:core/v1:{kind}::{name}",
        "type": f"kubernetes:core/v1:{kind}",
        "custom": True,
        "provider": f"{PROVIDER}::1d",
        "inputs": {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "shop-prod", "labels": LABELS},
        },
        **more,
    }


def live(name: str, manager: str = "pulumi-kubernetes-3fa1", **labels: str) -> dict[str, Any]:
    return {
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": "shop-prod",
            "labels": {**LABELS, "added": "by somebody", **labels},
            "managedFields": [{"manager": manager}],
        },
    }


class Cli:
    """Answers as the CLI does, with one state."""

    def __init__(self, pending: Sequence[dict[str, Any]]) -> None:
        provider = {"urn": PROVIDER, "id": "1d", "type": "pulumi:providers:kubernetes"}
        resources = [provider, resource("old", id="shop-prod/old")]
        self.document: dict[str, Any] = {
            "version": 3,
            "deployment": {"resources": resources, "pending_operations": list(pending)},
        }
        self.commands: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str, stack: str, text: str | None = None) -> str:
        assert stack == "prod"
        self.commands.append(arguments)
        if text is not None:
            self.document = json.loads(text)
        return json.dumps(self.document)

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        return {
            each["urn"].rpartition("::")[2]: each
            for each in self.document["deployment"]["resources"]
        }


@pytest.fixture
def in_cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """The objects of the cluster, by name."""
    objects: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(
        repair._Clusters,
        "read",
        lambda _, wanted: objects.get(wanted["inputs"]["metadata"]["name"]),
    )
    return objects


def repaired(
    monkeypatch: pytest.MonkeyPatch, *pending: tuple[str, dict[str, Any]]
) -> tuple[Cli, repair.Repaired]:
    cli = Cli([{"type": kind, "resource": each} for kind, each in pending])
    monkeypatch.setattr(repair, "_pulumi", cli)
    return cli, repair.repair("prod")


def test_nothing_pending_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cli, done = repaired(monkeypatch)
    assert done == repair.Repaired()
    assert cli.commands == [("stack", "export")]


def test_what_was_created_is_recorded(
    monkeypatch: pytest.MonkeyPatch, in_cluster: dict[str, dict[str, Any]]
) -> None:
    in_cluster["created"] = live("created")
    cli, done = repaired(
        monkeypatch, ("creating", resource("created")), ("creating", resource("not-created"))
    )
    assert done == repair.Repaired(recorded=("Secret shop-prod/created",), dropped=1)
    assert set(cli.resources) == {"cluster", "old", "created"}
    created = cli.resources["created"]
    assert created["id"] == "shop-prod/created"
    # An update by another manager would be in conflict with this one.
    assert created["outputs"]["__fieldManager"] == "pulumi-kubernetes-3fa1"
    assert cli.document["deployment"]["pending_operations"] == []
    assert cli.commands[-1] == (
        *("refresh", "--yes", "--skip-preview"),
        *("--target", created["urn"]),
    )


@pytest.mark.parametrize(
    "found",
    [
        live("taken", "kubectl-client-side-apply"),
        live("taken", **{"app.kubernetes.io/instance": "staging"}),
    ],
    ids=["by other means", "of another stack"],
)
def test_what_somebody_else_made_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
    in_cluster: dict[str, dict[str, Any]],
    found: dict[str, Any],
) -> None:
    in_cluster["taken"] = found
    cli, done = repaired(monkeypatch, ("creating", resource("taken")))
    assert done == repair.Repaired(foreign=("Secret shop-prod/taken",))
    assert set(cli.resources) == {"cluster", "old"}
    assert not any(command[0] == "refresh" for command in cli.commands)


def test_another_cluster_than_the_stacks_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(host="https://192.0.2.1")
    monkeypatch.setattr(api_client, "configuration", lambda name: (configuration, name))
    monkeypatch.setattr(repair, "identifier", lambda _: "5a1c")
    provider = {"type": repair.PROVIDER, "inputs": {"context": "here", "clusterIdentifier": "5a1c"}}
    repair.check_clusters([resource("old"), provider])
    provider["inputs"] = {"context": "here", "clusterIdentifier": "77f0"}
    with pytest.raises(ClusterError, match=r"context here .* is not the one of the stack"):
        repair.check_clusters([resource("old"), provider])


def test_what_is_recorded_already_and_what_is_not_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch, in_cluster: dict[str, dict[str, Any]]
) -> None:
    in_cluster["old"] = live("old")
    elsewhere = {"urn": "urn:b", "type": "aws:s3/bucket:Bucket", "inputs": {}}
    cli, done = repaired(
        monkeypatch,
        ("updating", resource("old")),
        ("creating", resource("old")),
        ("creating", elsewhere),
    )
    assert done == repair.Repaired(dropped=2)
    assert cli.resources["old"] == resource("old", id="shop-prod/old")
    assert cli.document["deployment"]["pending_operations"] == [
        {"type": "creating", "resource": elsewhere}
    ]
