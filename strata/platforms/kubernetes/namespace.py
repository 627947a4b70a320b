"""The namespace of a stack: restricted, bounded, and closed to all traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from strata.model import Kind, Workload
from strata.pins import POD_SECURITY_VERSION
from strata.platforms.kubernetes.cluster import Allowance, NodeGroup
from strata.platforms.kubernetes.objects import Objects
from strata.platforms.kubernetes.quantities import cores, mebibytes

POD_SECURITY = "restricted"

PRIORITIES = {Kind.DATASTORE: 3000, Kind.GATEWAY: 2000, Kind.APPLICATION: 1000}
"""What goes first when there is no room: higher numbers stay. Only their order means anything; all
are above 0, what a pod without a class has, and below 10^9, where the system's own begin."""


@dataclass(frozen=True, kw_only=True)
class Home:
    """`namespace` is protected where data lies in it: with it, all claims would go."""

    namespace: kubernetes.core.v1.Namespace
    ready: tuple[pulumi.Resource, ...]
    """What must be there before a pod is: the priority classes and the quota."""


def priority_class(namespace: str, workload: Workload) -> str:
    kind = Kind.APPLICATION if workload.kind is Kind.JOB else workload.kind
    return f"{namespace}-{kind}"


def pod_security(profile: str) -> Mapping[str, str]:
    """The labels by which a namespace enforces a profile of Pod Security, and warns by it."""
    modes = ("enforce", "audit", "warn")
    return {f"pod-security.kubernetes.io/{mode}": profile for mode in modes} | {
        f"pod-security.kubernetes.io/{mode}-version": POD_SECURITY_VERSION for mode in modes
    }


def make(
    workloads: Sequence[Workload],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    allowance: Allowance,
    objects: Objects,
) -> Home:
    name = objects.names.namespace
    namespace = kubernetes.core.v1.Namespace(
        name,
        metadata=objects.metadata(name, pod_security(POD_SECURITY), cluster_wide=True),
        opts=objects.options(None, protect=_has_data(workloads) or None),
    )
    quota = kubernetes.core.v1.ResourceQuota(
        name,
        metadata=objects.metadata("stack"),
        spec=kubernetes.core.v1.ResourceQuotaSpecArgs(
            hard=bounds(workloads, gpu_groups, allowance)
        ),
        opts=objects.options(namespace, [namespace]),
    )
    classes = [
        kubernetes.scheduling.v1.PriorityClass(
            f"{name}-{kind}",
            metadata=objects.metadata(f"{name}-{kind}", cluster_wide=True),
            value=value,
            description=f"Strata: {kind} of the stack {objects.names.stack}",
            opts=objects.options(namespace),
        )
        for kind, value in PRIORITIES.items()
    ]
    return Home(namespace=namespace, ready=(quota, *classes))


def bounds(
    workloads: Sequence[Workload],
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]],
    allowance: Allowance,
) -> dict[str, str]:
    """What all pods together may have: the sum at the autoscaler's largest, with the pod more that
    each Deployment has while it is updated, and what the target runs beside them."""
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


def _has_data(workloads: Sequence[Workload]) -> bool:
    return any(not volume.cache for one in workloads for volume in one.volumes)
