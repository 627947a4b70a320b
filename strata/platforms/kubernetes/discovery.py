"""Discovers what a cluster is like: read-only, at plan time, by the official client. Every query is
made once, with a reason if there is no answer."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from strata.model import GpuSharing
from strata.platforms.kubernetes import api_client
from strata.platforms.kubernetes.cluster import (
    ARCHITECTURE,
    GPU_PRESENT,
    GPU_RESOURCE,
    GPU_TAINT,
    Destination,
    NodeGroup,
    Taint,
)

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api

RIGHTS = (
    "read nodes, storage classes, versions, the namespace kube-system and the Service of its API"
)

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
SYSTEM_NAMESPACE = "kube-system"
API_NAMESPACE, API_SERVICE = "default", "kubernetes"
"""The Service of the API server, in every cluster."""


@dataclass(frozen=True, kw_only=True)
class DiscoveredCluster:
    """`identifier`: the same for the life of the cluster. `version`: major and minor. `groups`: nodes
    that pods may run on, grouped by kind. `api_server`: where it serves, by the address of its Service
    and its own. `node_addresses`: those of all nodes inside the cluster's network."""

    context: str
    identifier: str
    version: tuple[int, int]
    groups: tuple[NodeGroup, ...]
    has_default_storage_class: bool
    has_metrics: bool
    api_server: tuple[Destination, ...]
    node_addresses: tuple[str, ...]


def discover(context: str | None) -> DiscoveredCluster:
    """Queries the cluster of a context, or of the kubeconfig's current one. Raises
    `InvalidStackError` with the first problem."""
    # Imported here: it takes a second, and only this target needs it.
    from kubernetes import client

    configuration, chosen = api_client.configuration(context)
    api = client.ApiClient(configuration)
    limit = api_client.ANSWER_SECONDS
    cluster = f"the cluster of context {chosen} ({configuration.host})"
    with api_client.explained(cluster, RIGHTS):
        version = client.VersionApi(api).get_code(_request_timeout=limit)
        core = client.CoreV1Api(api)
        identity = identifier(core)
        nodes = _nodes(core)
        service: Any = core.read_namespaced_service(
            API_SERVICE, API_NAMESPACE, _request_timeout=limit
        )
        slices: Any = client.DiscoveryV1Api(api).list_namespaced_endpoint_slice(
            API_NAMESPACE,
            label_selector=f"kubernetes.io/service-name={API_SERVICE}",
            _request_timeout=limit,
        )
        # The client types every part of an answer as optional; these are always set.
        storage: Any = client.StorageV1Api(api).list_storage_class(_request_timeout=limit)
        apis = client.ApisApi(api).get_api_versions(_request_timeout=limit)
    return DiscoveredCluster(
        context=chosen,
        identifier=identity,
        version=(_number(version.major), _number(version.minor)),
        groups=group(nodes),
        has_default_storage_class=any(
            (one.metadata.annotations or {}).get(DEFAULT_CLASS) == "true" for one in storage.items
        ),
        has_metrics=any(one.name == METRICS for one in apis.groups),
        api_server=api_server(service, slices.items),
        node_addresses=node_addresses(nodes),
    )


def identifier(core: "CoreV1Api") -> str:
    """Identifies a cluster, for which the API has no name: the UID of a namespace that is created with
    it, and can't be deleted."""
    found: Any = core.read_namespace(SYSTEM_NAMESPACE, _request_timeout=api_client.ANSWER_SECONDS)
    return str(found.metadata.uid)


def api_server(service: Any, slices: Iterable[Any]) -> tuple[Destination, ...]:
    """Network plugins apply policies before or after the address of a Service is replaced by that of
    a server, so both are destinations."""
    found = {
        (address, port.port)
        for one in slices
        for endpoint in one.endpoints or ()
        for address in endpoint.addresses
        for port in one.ports or ()
    }
    found |= {(service.spec.cluster_ip, port.port) for port in service.spec.ports}
    return tuple(
        Destination(ranges=(str(ip_network(address)),), port=number)
        for address, number in sorted(found)
    )


def node_addresses(nodes: Iterable[Any]) -> tuple[str, ...]:
    return tuple(
        sorted(
            one.address
            for node in nodes
            for one in node.status.addresses or ()
            if one.type == "InternalIP"
        )
    )


def _nodes(core: "CoreV1Api") -> list[Any]:
    """All nodes, page by page."""
    nodes: list[Any] = []
    following: str | None = None
    while following != "":
        page: Any = core.list_node(
            limit=NODES_A_PAGE, _continue=following, _request_timeout=api_client.ANSWER_SECONDS
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
    cpu = round(float(quantity(has.get("cpu", "0"))), 3)
    memory_mib = int(quantity(has.get("memory", "0")) // 2**20)
    resource, gpus = _gpus(has)
    name = labels.get(INSTANCE_TYPE) or f"{cpu:g}-cores-{memory_mib}-mib"
    described = NodeGroup(
        name=name,
        nodes_maximum=1,
        cpu=cpu,
        memory_mib=memory_mib,
        taints=taints,
        architecture=labels.get(ARCHITECTURE, ""),
    )
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
        (int(quantity(amount)), name)
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


def quantity(text: str) -> Decimal:
    """The number of a quantity, such as 250m or 64Mi."""
    from kubernetes.utils.quantity import parse_quantity

    return Decimal(parse_quantity(text))  # type: ignore[no-untyped-call]
