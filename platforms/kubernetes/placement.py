"""Where pods go: GPU pods to the GPU nodes that satisfy them, replicas apart from each other."""

from collections.abc import Sequence

import pulumi_kubernetes as kubernetes

from platforms.kubernetes.cluster import GPU_PRESENT, NODE_GROUP, NodeGroup
from platforms.kubernetes.fit import largest
from platforms.kubernetes.names import selector
from workload import Job, Service

GPU_TAINT = "nvidia.com/gpu"
"""The taint of GPU nodes, everywhere: EKS Blueprints, GKE, NVIDIA's own charts tolerate it."""
ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def tolerations(groups: Sequence[NodeGroup]) -> list[kubernetes.core.v1.TolerationArgs]:
    """Of the GPU taint, for who was given GPUs; nobody else goes there."""
    if not groups:
        return []
    return [
        kubernetes.core.v1.TolerationArgs(key=GPU_TAINT, operator="Exists", effect="NoSchedule")
    ]


def node_selector(groups: Sequence[NodeGroup]) -> dict[str, str] | None:
    return {GPU_PRESENT: "true"} if groups else None


def affinity(groups: Sequence[NodeGroup]) -> kubernetes.core.v1.AffinityArgs | None:
    """Only nodes of these groups: by the group's name where nodes carry it, else by the labels that
    tell the group's nodes from others."""
    if not groups:
        return None
    if all(NODE_GROUP in group.labels for group in groups):
        terms = [[(NODE_GROUP, [group.labels[NODE_GROUP] for group in groups])]]
    else:
        terms = [[(key, [value]) for key, value in sorted(one.labels.items())] for one in groups]
    return kubernetes.core.v1.AffinityArgs(
        node_affinity=kubernetes.core.v1.NodeAffinityArgs(
            required_during_scheduling_ignored_during_execution=kubernetes.core.v1.NodeSelectorArgs(
                node_selector_terms=[
                    kubernetes.core.v1.NodeSelectorTermArgs(
                        match_expressions=[
                            kubernetes.core.v1.NodeSelectorRequirementArgs(
                                key=key, operator="In", values=values
                            )
                            for key, values in term
                        ]
                    )
                    for term in terms
                ]
            )
        )
    )


def spread(process: Service | Job) -> list[kubernetes.core.v1.TopologySpreadConstraintArgs]:
    """Replicas are spread over zones, then over nodes, as far as there is room: one that cannot be
    spread is better than one that is missing."""
    if largest(process) == 1:
        return []
    return [
        kubernetes.core.v1.TopologySpreadConstraintArgs(
            topology_key=key,
            max_skew=1,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=kubernetes.meta.v1.LabelSelectorArgs(
                match_labels=dict(selector(process))
            ),
            # Only nodes where its pods may go are counted.
            node_taints_policy="Honor",
            # Those of the version before are about to go, and do not count.
            match_label_keys=None if _has_volumes(process) else ["pod-template-hash"],
        )
        for key in (ZONE, HOST)
    ]


def _has_volumes(process: Service | Job) -> bool:
    return isinstance(process, Service) and bool(process.volumes)
