"""A pod as plain data: what a workload becomes, and what runs for the cluster's own sake.

`pod_template` renders it; `lifecycle` has rendered its probes and stop hooks. A pod is restricted by
default; every exception is a field with its reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pulumi
from pulumi_kubernetes.core import v1 as core

from strata.model import Capability
from strata.platforms.kubernetes.cluster import GPU_PRESENT, NODE_GROUP, NodeGroup

NOBODY = 65534
"""The user of an image that needs none (`nobody` of Debian and of distroless images)."""

NO_GPU: Mapping[str, str] = MappingProxyType({"NVIDIA_VISIBLE_DEVICES": "void"})
"""Images built for CUDA request every GPU by this variable, and NVIDIA's runtime obeys it."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The volume that a StatefulSet claims under the name of the mount."""


@dataclass(frozen=True, kw_only=True)
class EmptyDir:
    size_mib: int
    in_memory: bool = False


@dataclass(frozen=True, kw_only=True)
class HostPath:
    """A path of the node. `type`: `Directory` or `File`. `reason`: why the pod needs it."""

    path: str
    type: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a Secret or a ConfigMap. All users of the container can read them."""

    object_name: pulumi.Input[str]
    secret: bool


@dataclass(frozen=True, kw_only=True)
class ApiToken:
    """What a client of the API server reads: a token for this pod alone, renewed before it expires,
    the certificate authority and the namespace."""

    expiration_seconds: int = 3600


API_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
"""Where clients of the API server look for it."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """`name`: of the volume."""

    name: str
    path: str
    source: Claim | EmptyDir | HostPath | Files | ApiToken
    read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class ContainerPort:
    name: str
    number: int
    protocol: str = "TCP"


@dataclass(frozen=True, kw_only=True)
class PodField:
    """An environment value that Kubernetes reads from the pod (downward API)."""

    path: str


@dataclass(frozen=True, kw_only=True)
class ContainerResources:
    """Requests in cores and MiB, and limits where they are higher. `gpus`: by resource name."""

    cpu: float
    memory_mib: int
    cpu_limit: float | None = None
    memory_limit_mib: int | None = None
    gpus: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Container:
    """`command` replaces the image's entry point, `args` its command. `before_stop` runs before the
    container gets SIGTERM. See `lifecycle` for it and the probes."""

    name: str
    image: str
    resources: ContainerResources
    command: tuple[pulumi.Input[str], ...] = ()
    args: tuple[pulumi.Input[str], ...] = ()
    environment: Mapping[str, pulumi.Input[str] | PodField] = field(default_factory=dict)
    ports: tuple[ContainerPort, ...] = ()
    mounts: tuple[Mount, ...] = ()
    startup: core.ProbeArgs | None = None
    readiness: core.ProbeArgs | None = None
    liveness: core.ProbeArgs | None = None
    before_stop: core.LifecycleArgs | None = None
    read_only_root: bool = True
    capabilities: tuple[Capability, ...] = ()


NodeTerm = tuple[tuple[str, tuple[str, ...]], ...]
"""Labels that a node must have, each with the values that it may have."""


@dataclass(frozen=True, kw_only=True)
class NodeSelection:
    """Nodes with all of `labels` for which one of `terms` holds, if there are any. GPU nodes are
    tainted, and only pods that tolerate the taint run on them."""

    labels: Mapping[str, str] = field(default_factory=dict)
    terms: tuple[NodeTerm, ...] = ()
    tolerates_gpu_taint: bool = False


@dataclass(frozen=True, kw_only=True)
class HostAlias:
    """An entry of /etc/hosts."""

    address: pulumi.Input[str]
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Pod:
    """`name` is also that of its service account. `component`: see `names.COMPONENT`.

    `group`: the user's number by default. `owns_volumes` gives new volumes to the group.
    `root_reason`: why it runs as root, and not as `user`. `spread` keeps replicas apart.
    `queries_dns`: it resolves names by the cluster's DNS, and not only by `host_aliases`. A NetworkPolicy
    must allow it.
    """

    name: str
    component: str
    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    user: int = NOBODY
    group: int | None = None
    owns_volumes: bool = False
    root_reason: str | None = None
    priority_class: str | None = None
    restart: str = "Always"
    deadline_seconds: int | None = None
    grace_seconds: int | None = None
    nodes: NodeSelection = NodeSelection()
    spread: bool = False
    host_aliases: tuple[HostAlias, ...] = ()
    queries_dns: bool = False

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """The mounts of all containers, one for each volume."""
        every = (mount for one in (*self.containers, *self.init_containers) for mount in one.mounts)
        return tuple({mount.name: mount for mount in every}.values())

    @property
    def exceptions(self) -> Mapping[str, str]:
        """Why the pod is less restricted than others, by what it may do."""
        reasons = {
            f"capability.{capability.name}": capability.reason
            for container in self.containers
            for capability in container.capabilities
        }
        for mount in self.mounts:
            if isinstance(mount.source, HostPath):
                reasons[f"host-path.{mount.name}"] = mount.source.reason
        return reasons | ({"root": self.root_reason} if self.root_reason else {})


def scraped(port: int) -> Mapping[str, str]:
    """The annotations by which Prometheus finds the metrics of a pod."""
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}


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
