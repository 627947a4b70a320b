"""A system as the program makes it, brought up in the cluster of the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import systems
from strata import platforms
from strata import stack as composed
from strata.model import Job, Service
from strata.platforms.kubernetes.cluster import NodeGroup
from strata.platforms.kubernetes.names import NAME, StackNames
from strata.platforms.kubernetes.platform import KubernetesPlatform
from tests import planned
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.nodes import nodes

ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
# Pods of EKS have addresses of the VPC: half of the default range, as its private subnets.
POD_ADDRESSES = IPv4Network("10.64.0.0/17")
KUBE_SYSTEM = "kube-system"
READY_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the program makes of a system: its objects, and the plain data that they come from, as the
    settings of the stack changed it."""

    program: planned.Program
    manifests: Sequence[dict[str, Any]]
    services: Mapping[str, Service]
    jobs: Mapping[str, Job]
    groups: tuple[NodeGroup, ...]
    namespace: str

    def links(self) -> set[tuple[str, str, tuple[int, str]]]:
        """The stack's output `links`: client, server, and each port with its protocol."""
        return {
            (link["client"], link["server"], (number, link["protocol"]))
            for link in self.program.outputs["links"]
            for number in range(int(link["port"]), int(link.get("lastPort", link["port"])) + 1)
        }

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.manifests if one["kind"] == kind]


def plan(
    changes: Mapping[str, Any] | None = None,
    *,
    stack: str = planned.STACK,
    compose: Callable[[composed.Stack], None] | None = None,
) -> Plan:
    """Plans a stack as its file has it, with changes; `compose` makes another system than the settings name."""
    collected: list[composed.Stack] = []

    def describe(stack: composed.Stack) -> None:
        collected.append(stack)
        (compose or systems.find(stack.settings.system))(stack)

    program = planned.plan(changes, describe=describe, stack=stack)
    composition = collected[0].composition
    platform = platforms.choose(collected[0].settings, planned.PROJECT, stack)
    assert isinstance(platform, KubernetesPlatform)
    return Plan(
        program=program,
        manifests=program.manifests(),
        services={one.name: one for one in composition.services},
        jobs={one.name: one for one in composition.jobs},
        groups=platform.cluster.groups,
        namespace=f"{planned.PROJECT}-{stack}",
    )


@dataclass
class Stack:
    """A planned system that runs."""

    cluster: Cluster
    plan: Plan
    warnings: list[str] = field(default_factory=list)
    placed: list[Any] = field(default_factory=list)
    """All pods of the cluster as they were first placed, before a test moved any."""

    @property
    def namespace(self) -> str:
        return self.plan.namespace

    def pods(self, owner: str | None = None) -> list[Any]:
        """The pods of the stack, or of one service or job, that are not on their way out. In the
        namespace of agents are pods of the cluster's own as well."""
        found = self.cluster.all("v1", "Pod", self.namespace)
        found += [
            one
            for one in self.cluster.all("v1", "Pod", self.names.agents_namespace)
            if owner_of(one) in self.plan.services
        ]
        return [
            one
            for one in found
            if "deletionTimestamp" not in one["metadata"] and owner in (None, owner_of(one))
        ]

    @property
    def names(self) -> StackNames:
        project, _, stack = self.namespace.partition("-")
        return StackNames(project=project, stack=stack, system="")

    def namespace_of(self, service: str) -> str:
        return self.names.namespace_of(self.plan.services[service])

    def manifest(self, kind: str, name: str) -> dict[str, Any]:
        """What the program makes of a kind under a name."""
        (found,) = [one for one in self.plan.of(kind) if one["metadata"]["name"] == name]
        return found

    def until_ready(self) -> None:
        """Waits until every workload has all its pods. What fails says why the cluster thinks it does."""
        try:
            self.cluster.until(self.ready, "everything is ready", READY_SECONDS)
        except AssertionError as error:
            reasons = {
                f"{one['reason']}: {one['involvedObject']['name']}: {one['message']}"
                for one in self.cluster.all("v1", "Event")
                if one["type"] == "Warning"
            }
            told = "\n".join(sorted(reasons))
            raise AssertionError(f"{error}: {', '.join(self.waiting())}\n{told}") from None

    def nodes(self) -> dict[str, Any]:
        """The nodes of its groups, by name."""
        groups = {one.name for one in self.plan.groups}
        return {
            one["metadata"]["name"]: one
            for one in self.cluster.all("v1", "Node")
            if one["metadata"]["name"].rpartition("-")[0] in groups
        }

    def ready(self) -> bool:
        """Whether every workload has all its pods, of its newest kind, and they are ready."""
        return not self.waiting()

    def waiting(self) -> list[str]:
        """The workloads that are not where they should be."""
        workloads = [
            one
            for kind in ("Deployment", "StatefulSet", "DaemonSet")
            for one in self.cluster.all("apps/v1", kind)
        ]
        return [one["metadata"]["name"] for one in workloads if not _settled(one)]


def owner_of(pod: Any) -> str:
    """The service or job that a pod belongs to, or what of the cluster's own it is."""
    return str(pod["metadata"]["labels"][NAME])


def _settled(workload: Any) -> bool:
    status = workload.get("status", {})
    if status.get("observedGeneration") != workload["metadata"]["generation"]:
        return False
    if workload["kind"] == "DaemonSet":
        wanted = status["desiredNumberScheduled"]
        return bool(
            status.get("updatedNumberScheduled", 0) == wanted == status.get("numberReady", 0)
        )
    wanted = workload["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return all(status.get(one, 0) == wanted for one in counts)


def furnish(cluster: Cluster, groups: Iterable[NodeGroup]) -> None:
    """Gives a cluster what it has before a stack comes: nodes, and who answers for names."""
    for one in [*nodes(groups, ZONES, POD_ADDRESSES), *_name_server()]:
        cluster.apply(one, manager="tests")
    # A node that is new has a taint until it is ready.
    closed = "node.kubernetes.io/not-ready"
    cluster.until(
        lambda: (
            not any(
                taint["key"] == closed
                for one in cluster.all("v1", "Node")
                for taint in one["spec"].get("taints", ())
            )
        ),
        "the nodes are ready",
    )


def up(cluster: Cluster, planned_stack: Plan) -> Stack:
    """Applies a stack in its order, and waits until all of it is ready."""
    stack = Stack(cluster, planned_stack)
    for one in planned_stack.manifests:
        cluster.apply(one, warn=stack.warnings.append)
    stack.until_ready()
    stack.placed.extend(cluster.all("v1", "Pod"))
    return stack


def _name_server() -> Iterable[dict[str, Any]]:
    """CoreDNS as EKS runs it, which listens for metrics as well."""
    labels = {"k8s-app": "kube-dns"}
    ports = [
        {"name": "dns", "containerPort": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
    ]
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": KUBE_SYSTEM},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "coredns", "image": "coredns", "ports": ports}]},
            },
        },
    }
