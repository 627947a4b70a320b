"""Repairs a state after a `pulumi up` on a cluster was killed.

The state then has operations of which nobody knows how they ended. An object that was created and not recorded makes
each later update fail: it already exists. The repair looks into the cluster, and records what is there.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from strata.engine import pulumi
from strata.errors import ClusterError
from strata.platforms.kubernetes import api_client
from strata.platforms.kubernetes.discovery import SYSTEM_NAMESPACE, identifier
from strata.platforms.kubernetes.pod_state import Json

if TYPE_CHECKING:
    from kubernetes.client import Configuration
    from kubernetes.dynamic import DynamicClient

PENDING = "pending_operations"
PROVIDER = "pulumi:providers:kubernetes"
RIGHTS = "read the objects of the stack, and the namespace kube-system"
FIELD_MANAGER = "pulumi-kubernetes"
"""How the name of the field manager starts by which Pulumi's provider creates an object."""


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """`recorded`: objects that the killed update had created, now part of the state. `foreign`: objects of a
    pending name that aren't the stack's, left alone. `dropped`: the number of pending operations that need no
    record, because the object wasn't created, or was recorded before."""

    recorded: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    dropped: int = 0


def repair(stack: str) -> Repaired:
    """Ends the pending operations of a stack's Kubernetes objects; those of other providers stay. Raises
    `ClusterError`, also if the kubeconfig leads to another cluster than the stack's, and
    `InvalidStackError` if it can't be used."""
    document = json.loads(_pulumi("stack", "export", stack=stack))
    deployment: Json = document["deployment"]
    check_clusters(deployment.get("resources") or ())
    pending: list[Json] = deployment.get(PENDING) or []
    own = [each for each in pending if str(each["resource"]["type"]).startswith("kubernetes:")]
    if not own:
        return Repaired()
    recorded = {each["urn"] for each in deployment["resources"]}
    created = [
        each["resource"]
        for each in own
        if each["type"] == "creating" and each["resource"]["urn"] not in recorded
    ]
    found: list[Json] = []
    foreign: list[str] = []
    if created:
        # A provider's kubeconfig may be encrypted in the other export, which is imported again as it is.
        readable = json.loads(_pulumi("stack", "export", "--show-secrets", stack=stack))
        clusters = _Clusters(readable["deployment"]["resources"])
        for resource in created:
            live = clusters.read(resource)
            if live is None:
                continue
            if is_own(resource["inputs"], live):
                found.append(as_recorded(resource, live))
            else:
                foreign.append(f"{live['kind']} {_id(live)}")
    deployment["resources"] += found
    deployment[PENDING] = [each for each in pending if each not in own]
    _pulumi("stack", "import", stack=stack, text=json.dumps(document))
    if found:
        # Also reads whether it is ready: the killed update can't have waited for that.
        targets = [argument for each in found for argument in ("--target", each["urn"])]
        _pulumi("refresh", "--yes", "--skip-preview", *targets, stack=stack)
    return Repaired(
        recorded=tuple(f"{each['inputs']['kind']} {each['id']}" for each in found),
        foreign=tuple(foreign),
        dropped=len(own) - len(found) - len(foreign),
    )


def check_clusters(resources: Sequence[Json]) -> None:
    """Raises `ClusterError` if a context of the state leads to another cluster than when the stack was created."""
    from kubernetes.client import ApiClient, CoreV1Api

    for each in resources:
        inputs = each.get("inputs") or {}
        wanted = inputs.get("clusterIdentifier")
        # A kubeconfig in the state has the address of the cluster, and so can't lead to another one.
        if each["type"] != PROVIDER or not wanted or inputs.get("kubeconfig"):
            continue
        configuration, cluster = _configuration(inputs)
        with api_client.explained(cluster, RIGHTS, ClusterError):
            found = identifier(CoreV1Api(ApiClient(configuration)))
        if found != wanted:
            raise ClusterError(
                f"{cluster} is not the one of the stack, whose {SYSTEM_NAMESPACE} has the UID {wanted}",
                "set KUBECONFIG to the file in which this context is the stack's cluster",
            )


def is_own(inputs: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether Pulumi created the object, with all labels that the stack gives it."""
    metadata = live["metadata"]
    labels = metadata.get("labels") or {}
    wanted = inputs["metadata"].get("labels") or {}
    return bool(_manager(live)) and all(labels.get(key) == wanted[key] for key in wanted)


def as_recorded(resource: Json, live: Mapping[str, Any]) -> Json:
    """The entry of the state for an object that exists, until a refresh completes it."""
    return {
        **resource,
        "id": _id(live),
        # Updates must continue as the manager that owns the fields, or they conflict with it.
        "outputs": {
            "__fieldManager": _manager(live),
            "__initialApiVersion": resource["inputs"]["apiVersion"],
        },
    }


def _manager(live: Mapping[str, Any]) -> str:
    """The name by which Pulumi created the object; "" if it didn't."""
    managers = (str(each["manager"]) for each in live["metadata"].get("managedFields") or ())
    return next((name for name in managers if name.startswith(FIELD_MANAGER)), "")


def _id(live: Mapping[str, Any]) -> str:
    """The id that Pulumi's provider gives the object."""
    metadata = live["metadata"]
    place = [metadata["namespace"]] if metadata.get("namespace") else []
    return "/".join([*place, metadata["name"]])


class _Clusters:
    """The clusters of the providers in a state, each connected to once."""

    def __init__(self, resources: Sequence[Json]) -> None:
        self._inputs = {
            f"{each['urn']}::{each['id']}": each.get("inputs") or {}
            for each in resources
            if each["type"] == PROVIDER
        }
        self._clients: dict[str, tuple[DynamicClient, str]] = {}

    def read(self, resource: Json) -> Json | None:
        """The object of a resource as it is in its cluster now; None if there is none."""
        # Imported here: it takes a second.
        from kubernetes.dynamic import exceptions

        client, cluster = self._connect(str(resource["provider"]))
        inputs = resource["inputs"]
        metadata = inputs["metadata"]
        with api_client.explained(cluster, RIGHTS, ClusterError):
            try:
                kind = client.resources.get(api_version=inputs["apiVersion"], kind=inputs["kind"])
                found = kind.get(name=metadata["name"], namespace=metadata.get("namespace"))
            except exceptions.NotFoundError:
                return None
        return dict(found.to_dict())

    def _connect(self, provider: str) -> "tuple[DynamicClient, str]":
        from kubernetes.client import ApiClient
        from kubernetes.dynamic import DynamicClient

        if provider not in self._clients:
            configuration, cluster = _configuration(self._inputs[provider])
            with api_client.explained(cluster, RIGHTS, ClusterError):
                client = DynamicClient(ApiClient(configuration))  # type: ignore[no-untyped-call]
            self._clients[provider] = client, cluster
        return self._clients[provider]


def _configuration(inputs: Json) -> "tuple[Configuration, str]":
    """The configuration of the client for a provider's inputs, and what errors call its cluster."""
    if kubeconfig := inputs.get("kubeconfig"):
        configuration = api_client.configuration_of(kubeconfig)
        name = yaml.safe_load(kubeconfig)["current-context"]
    else:
        configuration, name = api_client.configuration(inputs.get("context"))
    return configuration, f"the cluster of context {name} ({configuration.host})"


def _pulumi(*arguments: str, stack: str, text: str | None = None) -> str:
    """Runs the CLI, with `text` as its input. Returns what it prints. Raises `ClusterError`."""
    command = [pulumi(), *arguments, "--stack", stack, "--non-interactive"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise ClusterError(
            f"`pulumi {' '.join(arguments[:2])}` failed:\n    {(done.stderr or done.stdout).strip()}",
            "fix what it says, then run the same command again",
        )
    return done.stdout
