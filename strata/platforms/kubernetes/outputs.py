"""The outputs of a stack."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from strata.model import Link, Service, Workload
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes import exposure, fit
from strata.platforms.kubernetes.cluster import NodeGroup, WorkloadSummary
from strata.platforms.kubernetes.pods import Placed
from strata.platforms.outputs import common


def collect(
    workloads: Sequence[Workload],
    links: Sequence[Link],
    placed: Mapping[str, Placed],
    plan: WorkloadSummary,
    groups: Sequence[NodeGroup],
    hosts: Mapping[str, pulumi.Input[str]],
    secrets: DerivedSecrets,
) -> dict[str, Any]:
    """`hosts`: of what is published, by service."""
    images = {name: one.image for name, one in placed.items()}
    return {
        "urls": {
            one.name: _url(one, hosts[one.name]) for one in plan.services if one.name in hosts
        },
        **common(workloads, links, images, plan.gpu_groups, secrets),
        "budget": {
            "nodeGroups": [
                {
                    "name": group.name,
                    "nodesMaximum": group.nodes_maximum,
                    "memoryMib": group.memory_mib,
                    "cpu": group.cpu,
                    "gpu": group.gpus,
                }
                for group in groups
            ],
            "reserved": {"memoryMib": fit.DAEMON_MEMORY_MIB, "cpu": fit.DAEMON_CPU},
            "used": _used(workloads, plan),
        },
    }


def _url(service: Service, host: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.from_input(host).apply(lambda known: exposure.url(service, known))


def _used(workloads: Sequence[Workload], plan: WorkloadSummary) -> dict[str, Any]:
    """The sum of all pods, with as many replicas as the autoscaler may start."""
    return {
        "memoryMib": sum(one.resources.memory_mib * one.replicas_at_most for one in workloads),
        "sharedMemoryMib": sum(
            one.resources.shared_memory_mib * one.replicas_at_most for one in workloads
        ),
        "cpu": round(sum(one.resources.cpu_budget * one.replicas_at_most for one in workloads), 3),
        "gpu": sum(
            one.gpu.count * one.replicas_at_most for one in workloads if one.name in plan.gpu_groups
        ),
    }
