"""Nodes that kwok plays, from the node groups that a stack is planned for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network
from typing import Any

from strata.platforms.kubernetes.cluster import NodeGroup
from tests.kubernetes.cluster import FAKE_NODE

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
# The most that the nodes of EKS take with prefixes delegated to them, below 30 cores.
PODS_OF_A_NODE = 110
KUBELET = 10250


def nodes(
    groups: Iterable[NodeGroup], zones: Sequence[str], addresses: IPv4Network
) -> list[dict[str, Any]]:
    """Every node that the groups can have, one zone after the other, in their order.

    A group that says its zone is there alone. `addresses`: where pods have their addresses; each
    node takes 256 of them, so that no two pods have the same.
    """
    ranges = addresses.subnets(new_prefix=24)
    return [
        _node(group, index, group.labels.get(ZONE, zones[index % len(zones)]), next(ranges))
        for group in groups
        for index in range(group.nodes_maximum)
    ]


def _node(group: NodeGroup, index: int, zone: str, addresses: IPv4Network) -> dict[str, Any]:
    name = f"{group.name}-{index + 1}"
    offers = {
        "cpu": f"{round(group.cpu * 1000)}m",
        "memory": f"{group.memory_mib}Mi",
        "pods": str(PODS_OF_A_NODE),
        "ephemeral-storage": "50Gi",
    }
    if group.gpus:
        offers[group.gpu_resource] = str(group.gpus)
    labels = {HOST: name, ZONE: zone, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {**labels, **group.labels},
            "annotations": FAKE_NODE,
        },
        "spec": {
            "podCIDR": str(addresses),
            "podCIDRs": [str(addresses)],
            "taints": [
                {"key": one.key, "value": one.value, "effect": one.effect} for one in group.taints
            ],
        },
        "status": {
            "capacity": offers,
            "allocatable": offers,
            # No pod has it: those of the node begin behind it.
            "addresses": [{"type": "InternalIP", "address": str(addresses.network_address)}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET}},
        },
    }
