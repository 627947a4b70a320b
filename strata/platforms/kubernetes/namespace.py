"""Namespaces: with a Pod Security profile and a quota, and closed to all traffic."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.scheduling import v1 as scheduling

from strata.model import Kind, Workload
from strata.pins import POD_SECURITY_VERSION
from strata.platforms.kubernetes.cluster import Allowance, NodeGroup, pods_at_most
from strata.platforms.kubernetes.formatting import cores, mebibytes
from strata.platforms.kubernetes.names import NAME
from strata.platforms.kubernetes.network_policies import policy
from strata.platforms.kubernetes.objects import Objects

POD_SECURITY = "restricted"

PRIVILEGED = "privileged"
"""The profile of the one namespace whose pods may access their node."""

AGENT = "agent"
"""The priority class of what runs on every node: unlike other pods, these can't run elsewhere."""

PRIORITIES: Mapping[str, int] = {
    AGENT: 4000,
    Kind.DATASTORE: 3000,
    Kind.GATEWAY: 2000,
    Kind.APPLICATION: 1000,
}
"""When there is no room, pods with lower numbers are evicted first. Only the order matters; all are
above 0, the priority of a pod without a class, and below 10^9, where the system's own begin."""


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """`objects` name the namespace. `quota`: the sum for all its pods."""

    objects: Objects
    quota: Mapping[str, str]
    pod_security: str = POD_SECURITY


class Namespace(pulumi.ComponentResource):
    """A namespace with its quota and the policy for all its pods.

    Objects in it depend on `namespace`, pods on all of `ready`.
    """

    def __init__(self, name: str, args: NamespaceArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:kubernetes:Namespace", name, {}, opts)
        objects = args.objects
        self.namespace = core.Namespace(
            name,
            metadata=objects.metadata(
                objects.namespace, _pod_security(args.pod_security), cluster_wide=True
            ),
            opts=objects.options(self),
        )
        inside = objects.options(self, [self.namespace])
        self.ready: tuple[pulumi.Resource, ...] = (
            core.ResourceQuota(
                f"{name}-quota",
                metadata=objects.metadata("quota"),
                spec=core.ResourceQuotaSpecArgs(hard=dict(args.quota)),
                opts=inside,
            ),
            policy(f"{name}-default-deny", objects.metadata("default-deny"), inside),
        )
        self.register_outputs({})


def priority_class(namespace: str, workload: Workload) -> str:
    kind: str = Kind.APPLICATION if workload.kind is Kind.JOB else workload.kind
    if workload.on_every_node:
        kind = AGENT
    return f"{namespace}-{kind}"


def make(
    workloads: Sequence[Workload],
    groups: Sequence[NodeGroup],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    allowance: Allowance,
    objects: Objects,
) -> tuple[core.Namespace, list[pulumi.Resource]]:
    """The namespace of the workloads, and what pods depend on besides: its quota, policies and
    priority classes. It is protected if it has data to keep: deleting a namespace deletes its claims."""
    name = objects.namespace
    keeps_data = any(not volume.is_deleted for one in workloads for volume in one.volumes)
    made = Namespace(
        name,
        NamespaceArgs(objects=objects, quota=bounds(workloads, groups, gpu_groups, allowance)),
        pulumi.ResourceOptions(protect=keeps_data or None),
    )
    classes = [
        scheduling.PriorityClass(
            f"{name}-{kind}",
            # The object's own name may be longer than a label may be.
            metadata=objects.metadata(f"{name}-{kind}", {NAME: str(kind)}, cluster_wide=True),
            value=value,
            description=f"Strata: {kind} of the stack {objects.names.stack}",
            opts=objects.options(made),
        )
        for kind, value in PRIORITIES.items()
    ]
    return made.namespace, [*made.ready, *classes]


def make_agents(
    name: str,
    workloads: Iterable[Workload],
    groups: Sequence[NodeGroup],
    objects: Objects,
    opts: pulumi.ResourceOptions,
    others: int = 0,
) -> tuple[pulumi.Resource, ...]:
    """The privileged namespace, and what its pods depend on besides; empty if nothing needs it.
    `others`: how many pods of the cluster's own are in it."""
    agents = [one for one in workloads if one.host_mounts]
    pods = others + sum(_pods_with_update(one, groups) for one in agents)
    if not pods:
        return ()
    args = NamespaceArgs(objects=objects, pod_security=PRIVILEGED, quota={"pods": str(pods)})
    made = Namespace(name, args, opts)
    return (made.namespace, *made.ready)


def _pods_with_update(workload: Workload, groups: Sequence[NodeGroup]) -> int:
    """How many pods there can be: one more for each Deployment while it is updated. What runs on every
    node has twice as many, because new nodes join before those that they replace leave."""
    most = pods_at_most(workload, groups)
    if workload.on_every_node:
        return 2 * most
    return most + (0 if workload.volumes or workload.kind is Kind.JOB else 1)


def bounds(
    workloads: Sequence[Workload],
    groups: Sequence[NodeGroup],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    allowance: Allowance,
) -> dict[str, str]:
    """The sum for all pods: as many as the autoscaler may start, the additional ones of updates, and
    those that the target adds. `workloads`: those of this namespace."""
    pods = [(one, _pods_with_update(one, groups)) for one in workloads]
    memory_mib = allowance.memory_mib + sum(most * one.resources.memory_mib for one, most in pods)
    claims_gib = [
        volume.size_gib
        for one in workloads
        for volume in one.volumes
        for _ in range(one.replicas_at_most)
    ]
    gpus: Counter[str] = Counter()
    for one, most in pods:
        for group in gpu_groups.get(one.name, ())[:1]:
            gpus[f"requests.{group.gpu_resource}"] += most * one.gpu.count
    published = any(port.published is not None for one in workloads for port in one.ports)
    return {
        "requests.cpu": cores(
            sum(most * one.resources.cpu_budget for one, most in pods) + allowance.cpu
        ),
        "limits.cpu": cores(sum(most * one.resources.cpu for one, most in pods) + allowance.cpu),
        "requests.memory": mebibytes(memory_mib),
        "limits.memory": mebibytes(memory_mib),
        "pods": str(allowance.pods + sum(most for _, most in pods)),
        "persistentvolumeclaims": str(len(claims_gib)),
        "requests.storage": mebibytes(sum(claims_gib) * 1024),
        "services.loadbalancers": str(int(published)),
        **{key: str(count) for key, count in sorted(gpus.items())},
    }


def _pod_security(profile: str) -> dict[str, str]:
    """The labels by which a namespace enforces a Pod Security profile, and warns."""
    return {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", profile), ("-version", POD_SECURITY_VERSION))
    }
