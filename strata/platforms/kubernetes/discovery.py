"""Discovers what a cluster is like: read-only, at plan time, by the official client. Every query is
made once, with a reason if there is no answer."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import urllib3
from yaml import YAMLError

from strata.model import GpuSharing, InvalidStackError, Problem
from strata.platforms.kubernetes.cluster import (
    GPU_PRESENT,
    GPU_RESOURCE,
    GPU_TAINT,
    Destination,
    NodeGroup,
    Taint,
)

if TYPE_CHECKING:
    from kubernetes.client import Configuration, CoreV1Api

PATH = "strata:kubernetes.context"
ANSWER_SECONDS = 5
"""How long a cluster may take for one answer: five times what a call may take at the 99th percentile
(Kubernetes SLO "API call latency": 1 s for one object). A person waits for it."""

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
API_NAMESPACE, API_SERVICE = "default", "kubernetes"
"""The Service of the API server, in every cluster."""


@dataclass(frozen=True, kw_only=True)
class DiscoveredCluster:
    """`version`: major and minor. `groups`: nodes that pods may run on, grouped by kind.
    `api_server`: where it serves, by the address of its Service and its own. `node_addresses`: those
    of all nodes inside the cluster's network."""

    context: str
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

    configuration, chosen = _configuration(context)
    api = client.ApiClient(configuration)
    limit = ANSWER_SECONDS
    with _explained(f"the cluster of context {chosen} ({configuration.host})"):
        version = client.VersionApi(api).get_code(_request_timeout=limit)
        core = client.CoreV1Api(api)
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
        version=(_number(version.major), _number(version.minor)),
        groups=group(nodes),
        has_default_storage_class=any(
            (one.metadata.annotations or {}).get(DEFAULT_CLASS) == "true" for one in storage.items
        ),
        has_metrics=any(one.name == METRICS for one in apis.groups),
        api_server=api_server(service, slices.items),
        node_addresses=node_addresses(nodes),
    )


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
            limit=NODES_A_PAGE, _continue=following, _request_timeout=ANSWER_SECONDS
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


def _configuration(context: str | None) -> "tuple[Configuration, str]":
    """The configuration of the client, and the name of the context."""
    from kubernetes import client, config

    fix = "set KUBECONFIG, or create ~/.kube/config"
    try:
        contexts, current = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise _unusable(f"there is no usable kubeconfig: {error}", fix) from None
    except (OSError, TypeError, ValueError, YAMLError) as error:  # depends on the file's content
        raise _unusable(f"the kubeconfig can't be read: {error}", fix) from None
    names = sorted(entry["name"] for entry in contexts)
    chosen = context or (str(current["name"]) if current else None)
    if chosen is None or chosen not in names:
        fix = f"use one of: {', '.join(names)}" if names else "add a context to it"
        raise _unusable(f"the kubeconfig has no context {chosen}", fix)
    loaded = client.Configuration()
    try:
        config.load_kube_config(  # type: ignore[no-untyped-call]
            context=chosen, client_configuration=loaded
        )
    except (config.ConfigException, OSError, ValueError, KeyError) as error:
        fix = "correct it until `kubectl get nodes` works"
        raise _unusable(f"context {chosen} can't be used: {error}", fix) from None
    # One try: an error is reported at once.
    loaded.retries = False
    return loaded, chosen


@contextmanager
def _explained(cluster: str) -> Iterator[None]:
    """Explains why a query in the block has no answer."""
    from kubernetes.client.exceptions import ApiException

    try:
        yield
        return
    except ApiException as error:
        problem, fix = _api_problem(error.status, " ".join(str(error.reason).split()))
    except urllib3.exceptions.HTTPError as error:
        problem = _connection_problem(error)
        fix = "check that the cluster runs and is reachable from here (`kubectl get nodes`)"
    except ValueError as error:
        problem, fix = f"sent an unexpected answer: {error}", "check that it is a Kubernetes API"
    raise _unusable(f"{cluster} {problem}", fix) from None


def _api_problem(status: int, reason: str) -> tuple[str, str]:
    match status:
        case 0:  # the client's status for a failed handshake
            problem = f"has a certificate that the kubeconfig doesn't trust: {reason}"
            return problem, "update the kubeconfig, with the cluster's certificate authority"
        case 401:
            fix = "log in again, so that `kubectl get nodes` works"
            return "doesn't accept the credentials", fix
        case 403:
            problem = "doesn't let this user read nodes, storage classes, versions and the Service of its API"
            return problem, "use a user who may, and who may create namespaces"
        case _:
            return f"answered {status} {reason}", "check the logs of its API server"


def _connection_problem(error: Exception) -> str:
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "has a name that doesn't resolve"
        case urllib3.exceptions.NewConnectionError():
            return f"doesn't answer: {error}"
        case urllib3.exceptions.TimeoutError():
            return f"didn't answer within {ANSWER_SECONDS} s"
        case _:
            return f"doesn't answer: {error}"


def _unusable(message: str, fix: str) -> InvalidStackError:
    return InvalidStackError([Problem(PATH, message, fix)])
