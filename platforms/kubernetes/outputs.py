"""What a stack shows when it is up."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from platforms.kubernetes import exposure, fit
from platforms.kubernetes.cluster import NodeGroup, Workloads
from platforms.kubernetes.pods import Placed
from platforms.outputs import common
from workload import Job, Link, Service
from workload.secrets import DerivedSecrets


def of(
    processes: Sequence[Service | Job],
    links: Sequence[Link],
    placed: Mapping[str, Placed],
    plan: Workloads,
    groups: Sequence[NodeGroup],
    hosts: Mapping[str, pulumi.Input[str]],
    secrets: DerivedSecrets,
) -> dict[str, Any]:
    """The outputs. `hosts`: of what is published, by service."""
    images = {name: one.image for name, one in placed.items()}
    return {
        "urls": {
            one.name: _url(one, hosts[one.name]) for one in plan.services if one.name in hosts
        },
        **common(processes, links, images, plan.gpu_groups, secrets),
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
            "used": _used(processes, plan),
        },
    }


def _url(service: Service, host: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.from_input(host).apply(lambda known: exposure.url(service, known))


def _used(processes: Sequence[Service | Job], plan: Workloads) -> dict[str, Any]:
    """The sum over all pods, at the autoscaler's largest."""
    return {
        "memoryMib": sum(one.resources.memory_mib * fit.largest(one) for one in processes),
        "sharedMemoryMib": sum(
            one.resources.shared_memory_mib * fit.largest(one) for one in processes
        ),
        "cpu": round(sum(one.resources.cpu_budget * fit.largest(one) for one in processes), 3),
        "gpu": sum(
            one.gpu.count * fit.largest(one) for one in processes if one.name in plan.gpu_groups
        ),
    }
