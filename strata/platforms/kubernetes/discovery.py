"""Discovers what a cluster is like: read-only, at plan time, by the official client."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from strata.model import GpuSharing
from strata.platforms.kubernetes import api_client
from strata.platforms.kubernetes.cluster import GPU_PRESENT, GPU_RESOURCE, NodeGroup, Taint
from strata.platforms.kubernetes.scheduling import GPU_TAINT

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

NODES_A_PAGE = 500
"""How many nodes one query returns: kubectl's default (--chunk-size)."""

SHARED = f"{GPU_RESOURCE}.shared"
MIG_PREFIX = "nvidia.com/mig-"
GPU_MEMORY = "nvidia.com/gpu.memory"
"""MiB of a GPU. NVIDIA's GPU feature discovery sets this label and the next two."""
GPU_PRODUCT = "nvidia.com/gpu.product"
SHARING_STRATEGY = "nvidia.com/gpu.sharing-strategy"
MIG_STRATEGY = "nvidia.com/mig.strategy"
INSTANCE_TYPE = "node.kubernetes.io/instance-type"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
METRICS = "metrics.k8s.io"


@dataclass(frozen=True, kw_only=True)
class DiscoveredCluster:
    """`version`: major and minor. `groups`: nodes that pods may run on, grouped by kind."""

    context: str
    version: tuple[int, int]
    groups: tuple[NodeGroup, ...]
    has_default_storage_class: bool
    has_metrics: bool


def discover(context: str | None) -> DiscoveredCluster:
    """Queries the cluster of a context, or of the kubeconfig's current one. Raises
    `InvalidStackError` with the first problem."""
    # Imported here: it takes a second, and only this target needs it.
    from kubernetes import client

    configuration, chosen = api_client.configuration(context)
    api = client.ApiClient(configuration)
    query = api_client.ApiClient(chosen, str(configuration.host))
    limit = api_client.ANSWER_SECONDS
    version = query(lambda: client.VersionApi(api).get_code(_request_timeout=limit))
    nodes = _nodes(client.CoreV1Api(api), query)
    # The client types every part of an answer as optional; these are always set.
    storage: Any = query(
        lambda: client.StorageV1Api(api).list_storage_class(_request_timeout=limit)
    )
    apis = query(lambda: client.ApisApi(api).get_api_versions(_request_timeout=limit))
    return DiscoveredCluster(
        context=chosen,
        version=(_number(version.major), _number(version.minor)),
        groups=group(nodes),
        has_default_storage_class=any(
            (one.metadata.annotations or {}).get(DEFAULT_CLASS) == "true" for one in storage.items
        ),
        has_metrics=any(one.name == METRICS for one in apis.groups),
    )


def _nodes(core: "CoreV1Api", query: api_client.ApiClient) -> list[Any]:
    """All nodes, page by page."""
    nodes: list[Any] = []
    following: str | None = None
    while following != "":
        page: Any = query(
            partial(
                core.list_node,
                limit=NODES_A_PAGE,
                _continue=following,
                _request_timeout=api_client.ANSWER_SECONDS,
            )
        )
        nodes += page.items
        following = page.metadata._continue or ""
    return nodes


def group(nodes: Iterable[Any]) -> tuple[NodeGroup, ...]:
    """Nodes that pods may run on, grouped by kind. Cordoned nodes, and nodes with a taint that no pod
    of a stack tolerates, are left out."""
    alike: dict[str, list[NodeGroup]] = {}
    for node in nodes:
        taints = tuple(
            Taint(key=one.key, value=one.value or "", effect=one.effect)
            for one in node.spec.taints or ()
        )
        if node.spec.unschedulable or any(_is_closed(one) for one in taints):
            continue
        described = _describe(node, taints)
        alike.setdefault(repr(described), []).append(described)
    names: Counter[str] = Counter()
    groups = []
    for _, members in sorted(alike.items()):
        name = members[0].name
        names[name] += 1
        unique = name if names[name] == 1 else f"{name}-{names[name]}"
        groups.append(replace(members[0], name=unique, nodes_maximum=len(members)))
    return tuple(groups)


def _is_closed(taint: Taint) -> bool:
    gpu = taint.key == GPU_TAINT and taint.effect == "NoSchedule"
    return taint.effect != "PreferNoSchedule" and not gpu


def _describe(node: Any, taints: tuple[Taint, ...]) -> NodeGroup:
    labels: Mapping[str, str] = node.metadata.labels or {}
    has: Mapping[str, str] = node.status.allocatable or {}
    cpu = round(float(_quantity(has.get("cpu", "0"))), 3)
    memory_mib = int(_quantity(has.get("memory", "0")) // 2**20)
    resource, gpus = _gpus(has)
    name = labels.get(INSTANCE_TYPE) or f"{cpu:g}-cores-{memory_mib}-mib"
    described = NodeGroup(name=name, nodes_maximum=1, cpu=cpu, memory_mib=memory_mib, taints=taints)
    if not gpus:
        return described
    # A slice has a label of its own (nvidia.com/mig-1g.10gb.memory).
    memory = labels.get(f"{resource}.memory") or labels.get(GPU_MEMORY) or "0"
    return replace(
        described,
        gpus=gpus,
        gpu_resource=resource,
        gpu_memory_mib=_number(memory),
        sharing=_sharing(resource, labels),
        labels={
            key: labels[key] for key in (GPU_PRESENT, GPU_PRODUCT, GPU_MEMORY) if key in labels
        },
    )


def _gpus(has: Mapping[str, str]) -> tuple[str, int]:
    """The GPU resource of a node, and how many it has: of several (MIG slices of different sizes) the
    most frequent one, since a group is planned with one."""
    offered = [
        (int(_quantity(amount)), name)
        for name, amount in has.items()
        if name in (GPU_RESOURCE, SHARED) or name.startswith(MIG_PREFIX)
    ]
    amount, name = max(offered, default=(0, GPU_RESOURCE))
    return name, amount


def _sharing(resource: str, labels: Mapping[str, str]) -> GpuSharing:
    if resource.startswith(MIG_PREFIX) or labels.get(MIG_STRATEGY) == "single":
        return GpuSharing.MIG
    # A plugin that shares GPUs may keep the plain name of the resource; feature discovery knows.
    if resource == SHARED or labels.get(SHARING_STRATEGY, "none") != "none":
        return GpuSharing.TIME_SLICING
    return GpuSharing.EXCLUSIVE


def _number(text: str) -> int:
    """The number that a text begins with: managed clusters report `30+`."""
    digits = re.match(r"\d+", str(text))
    return int(digits.group()) if digits else 0


def _quantity(text: str) -> Decimal:
    from kubernetes.utils.quantity import parse_quantity

    return Decimal(parse_quantity(text))  # type: ignore[no-untyped-call]
