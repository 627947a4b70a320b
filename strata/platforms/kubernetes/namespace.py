"""Namespaces: with a Pod Security profile, a quota, and closed to all traffic but DNS requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.scheduling import v1 as scheduling

from strata.model import Kind, Workload
from strata.pins import POD_SECURITY_VERSION
from strata.platforms.kubernetes.cluster import Allowance, NodeGroup
from strata.platforms.kubernetes.names import NAME
from strata.platforms.kubernetes.network_policies import policy, to_name_servers
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.quantities import cores, mebibytes

POD_SECURITY = "restricted"

PRIORITIES = {Kind.DATASTORE: 3000, Kind.GATEWAY: 2000, Kind.APPLICATION: 1000}
"""When there is no room, pods with lower numbers are evicted first. Only the order matters; all are
above 0, the priority of a pod without a class, and below 10^9, where the system's own begin."""


@dataclass(frozen=True, kw_only=True)
class NamespaceArgs:
    """`objects` name the namespace. `quota`: the sum for all its pods."""

    objects: Objects
    quota: Mapping[str, str]
    pod_security: str = POD_SECURITY


class Namespace(pulumi.ComponentResource):
    """A namespace with its quota and the policies for all its pods.

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
            policy(
                f"{name}-allow-dns",
                objects.metadata("allow-dns"),
                inside,
                types=["Egress"],
                egress=[to_name_servers()],
            ),
        )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class WorkloadNamespace:
    """The namespace of the workloads. Pods depend on all of `ready`."""

    namespace: core.Namespace
    ready: tuple[pulumi.Resource, ...]


def priority_class(namespace: str, workload: Workload) -> str:
    kind = Kind.APPLICATION if workload.kind is Kind.JOB else workload.kind
    return f"{namespace}-{kind}"


def make(
    workloads: Sequence[Workload],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    allowance: Allowance,
    objects: Objects,
) -> WorkloadNamespace:
    """The namespace of the workloads, with its priority classes. It is protected if it has data:
    deleting a namespace deletes its claims."""
    name = objects.namespace
    has_data = any(not volume.cache for one in workloads for volume in one.volumes)
    made = Namespace(
        name,
        NamespaceArgs(
            objects=objects,
            quota=bounds(workloads, gpu_groups, allowance),
        ),
        pulumi.ResourceOptions(protect=has_data or None),
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
    return WorkloadNamespace(namespace=made.namespace, ready=(*made.ready, *classes))


def bounds(
    workloads: Sequence[Workload],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    allowance: Allowance,
) -> dict[str, str]:
    """The sum for all pods: as many as the autoscaler may start, one more for each Deployment while
    it is updated, and those that the target adds."""
    total = {"cpu": 0.0, "cpu_limit": 0.0}
    memory_mib, pods, claims, storage_gib = allowance.memory_mib, allowance.pods, 0, 0
    gpus: dict[str, int] = {}
    for workload in workloads:
        replicas = workload.replicas_at_most
        volumes = workload.volumes
        surge = 0 if volumes or workload.kind is Kind.JOB else 1
        most = replicas + surge
        total["cpu"] += most * workload.resources.cpu_budget
        total["cpu_limit"] += most * workload.resources.cpu
        memory_mib += most * workload.resources.memory_mib
        pods += most
        claims += replicas * len(volumes)
        storage_gib += replicas * sum(volume.size_gib for volume in volumes)
        for group in gpu_groups.get(workload.name, ())[:1]:
            key = f"requests.{group.gpu_resource}"
            gpus[key] = gpus.get(key, 0) + most * workload.gpu.count
    published = any(port.published is not None for one in workloads for port in one.ports)
    return {
        "requests.cpu": cores(total["cpu"] + allowance.cpu),
        "limits.cpu": cores(total["cpu_limit"] + allowance.cpu),
        "requests.memory": mebibytes(memory_mib),
        "limits.memory": mebibytes(memory_mib),
        "pods": str(pods),
        "persistentvolumeclaims": str(claims),
        "requests.storage": mebibytes(storage_gib * 1024),
        "services.loadbalancers": str(int(published)),
        **{key: str(count) for key, count in sorted(gpus.items())},
    }


def _pod_security(profile: str) -> dict[str, str]:
    """The labels by which a namespace enforces a Pod Security profile, and warns."""
    labels: dict[str, str] = {}
    for mode in ("enforce", "audit", "warn"):
        labels[f"pod-security.kubernetes.io/{mode}"] = profile
        labels[f"pod-security.kubernetes.io/{mode}-version"] = POD_SECURITY_VERSION
    return labels
