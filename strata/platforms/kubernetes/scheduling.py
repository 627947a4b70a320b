"""Which nodes pods run on: GPU pods on the GPU nodes that satisfy them."""

from collections.abc import Sequence

from strata.platforms.kubernetes.cluster import GPU_PRESENT, GPU_RESOURCE, NODE_GROUP, NodeGroup
from strata.platforms.kubernetes.pod import NodeSelection

GPU_TAINT = GPU_RESOURCE
"""The key of the taint of GPU nodes. EKS Blueprints, GKE and NVIDIA's own charts tolerate it."""


def gpu_nodes(groups: Sequence[NodeGroup]) -> NodeSelection:
    """Nodes of these groups: by the group's name if nodes have it as a label, else by the labels
    that distinguish its nodes from others. Without groups, nodes that have no GPU taint."""
    if not groups:
        return NodeSelection()
    if all(NODE_GROUP in group.labels for group in groups):
        terms = on_groups([group.labels[NODE_GROUP] for group in groups]).terms
    else:
        terms = tuple(
            tuple((key, (value,)) for key, value in sorted(group.labels.items()))
            for group in groups
        )
    return NodeSelection(labels={GPU_PRESENT: "true"}, terms=terms, tolerates_gpu_taint=True)


def on_groups(names: Sequence[str]) -> NodeSelection:
    """Nodes that have the name of one of these GPU groups as a label."""
    return NodeSelection(terms=(((NODE_GROUP, tuple(names)),),), tolerates_gpu_taint=True)
