"""Where pods go: GPU pods to the GPU nodes that satisfy them, replicas apart from each other."""

from collections.abc import Sequence

import pulumi_kubernetes as kubernetes

from strata.model import Workload
from strata.platforms.kubernetes.cluster import GPU_PRESENT, GPU_RESOURCE, NODE_GROUP, NodeGroup
from strata.platforms.kubernetes.names import selector

GPU_TAINT = GPU_RESOURCE
"""The key of the taint of GPU nodes, everywhere: EKS Blueprints, GKE, NVIDIA's own charts tolerate
it."""
ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def gpu_toleration() -> kubernetes.core.v1.TolerationArgs:
    """Of the taint that GPU nodes have, whatever its value."""
    return kubernetes.core.v1.TolerationArgs(key=GPU_TAINT, operator="Exists", effect="NoSchedule")


def tolerations(groups: Sequence[NodeGroup]) -> list[kubernetes.core.v1.TolerationArgs]:
    """For who was given GPUs; nobody else goes there."""
    return [gpu_toleration()] if groups else []


def node_selector(groups: Sequence[NodeGroup]) -> dict[str, str] | None:
    return {GPU_PRESENT: "true"} if groups else None


def affinity(groups: Sequence[NodeGroup]) -> kubernetes.core.v1.AffinityArgs | None:
    """Only nodes of these groups: by the group's name where nodes carry it, else by the labels that
    tell the group's nodes from others."""
    if not groups:
        return None
    if all(NODE_GROUP in group.labels for group in groups):
        return on_groups([group.labels[NODE_GROUP] for group in groups])
    return _on_nodes(
        [[(key, [value]) for key, value in sorted(one.labels.items())] for one in groups]
    )


def on_groups(names: Sequence[str]) -> kubernetes.core.v1.AffinityArgs:
    """To nodes that carry the name of one of these groups, and to no others."""
    return _on_nodes([[(NODE_GROUP, list(names))]])


def _on_nodes(
    terms: Sequence[Sequence[tuple[str, list[str]]]],
) -> kubernetes.core.v1.AffinityArgs:
    """To nodes for which one of the terms holds, of which each part has to: a label, and what it
    may be."""
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


def spread(workload: Workload) -> list[kubernetes.core.v1.TopologySpreadConstraintArgs]:
    """Replicas are spread over zones, then over nodes, as far as there is room: one that cannot be
    spread is better than one that is missing."""
    if workload.replicas_at_most == 1:
        return []
    return [
        kubernetes.core.v1.TopologySpreadConstraintArgs(
            topology_key=key,
            max_skew=1,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=kubernetes.meta.v1.LabelSelectorArgs(
                match_labels=dict(selector(workload))
            ),
            # Only nodes where its pods may go are counted.
            node_taints_policy="Honor",
            # Those of the version before are about to go, and do not count.
            match_label_keys=None if _has_volumes(workload) else ["pod-template-hash"],
        )
        for key in (ZONE, HOST)
    ]


def _has_volumes(workload: Workload) -> bool:
    return bool(workload.volumes)
