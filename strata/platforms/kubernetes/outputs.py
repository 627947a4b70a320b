"""The outputs of a stack."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pulumi

from strata.model import Service, Workload
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes import exposure, fit
from strata.platforms.outputs import common

if TYPE_CHECKING:
    from strata.platforms.kubernetes.platform import KubernetesPlan


def of(
    plan: "KubernetesPlan", hosts: Mapping[str, pulumi.Input[str]], secrets: DerivedSecrets
) -> dict[str, Any]:
    """The outputs. `hosts`: by published service."""
    images = {name: one.image for name, one in plan.placed.items()}
    composition = plan.composition
    return {
        "urls": {
            one.name: _url(one, hosts[one.name])
            for one in composition.services
            if one.name in hosts
        },
        **common(composition, images, plan.gpus.granted, secrets),
        "budget": {
            "nodeGroups": [
                {
                    "name": group.name,
                    "nodesMaximum": group.nodes_maximum,
                    "memoryMib": group.memory_mib,
                    "cpu": group.cpu,
                    "gpu": group.gpus,
                }
                for group in plan.groups
            ],
            "reserved": {"memoryMib": fit.DAEMON_MEMORY_MIB, "cpu": fit.DAEMON_CPU},
            "used": _used(composition.workloads, plan.gpus.granted),
        },
    }


def _url(service: Service, host: pulumi.Input[str]) -> pulumi.Output[str]:
    return pulumi.Output.from_input(host).apply(lambda known: exposure.url(service, known))


def _used(workloads: Sequence[Workload], granted: frozenset[str]) -> dict[str, Any]:
    """The sum over all pods, at the autoscaler's largest."""
    return {
        "memoryMib": sum(one.resources.memory_mib * one.replicas_at_most for one in workloads),
        "sharedMemoryMib": sum(
            one.resources.shared_memory_mib * one.replicas_at_most for one in workloads
        ),
        "cpu": round(sum(one.resources.cpu_budget * one.replicas_at_most for one in workloads), 3),
        "gpu": sum(
            one.gpu.count * one.replicas_at_most for one in workloads if one.name in granted
        ),
    }
