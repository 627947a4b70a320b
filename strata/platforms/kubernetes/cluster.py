"""What the platform needs of a cluster: node groups to plan with, and a connection to create objects.

EKS and any kubeconfig are such targets. Nothing of a cluster is created before `connect`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pulumi
import pulumi_kubernetes

from strata.model import GpuSharing, Job, Managed, Problem, Service, Workload
from strata.model.secrets import DerivedSecrets
from strata.platforms.kubernetes.objects import Objects

if TYPE_CHECKING:
    from kubernetes.client import Configuration

GPU_RESOURCE = "nvidia.com/gpu"
"""A whole GPU, by NVIDIA's device plugin; shared ones are `.shared`, slices `mig-PROFILE`."""
GPU_TAINT = GPU_RESOURCE
"""The key of the taint of GPU nodes. EKS Blueprints, GKE and NVIDIA's own charts tolerate it."""
GPU_PRESENT = "nvidia.com/gpu.present"
"""The label of a node with GPUs, which the device plugin's own affinity uses."""
KUBELET_PORT = 10250
"""Where a kubelet serves its metrics (Kubernetes documentation, "Ports and Protocols")."""
ARCHITECTURE = "kubernetes.io/arch"
"""The label of every node with its architecture."""
NODE_GROUP = "strata.node-group"
"""The label with the name of a node's group, on clusters of ours."""


@dataclass(frozen=True, kw_only=True)
class Taint:
    """`effect`: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Nodes of one kind, as the scheduler sees them.

    `cpu` (cores) and `memory_mib`: what pods can use of one node (its allocatable). `gpus`: what one
    node offers of `gpu_resource`, after sharing. `gpu_memory_mib`: of one GPU or MIG slice (0:
    unknown). `labels`: those that distinguish its nodes from others. `architecture`: as Kubernetes names
    it.
    """

    name: str
    nodes_maximum: int
    cpu: float
    memory_mib: int
    gpus: int = 0
    gpu_resource: str = GPU_RESOURCE
    gpu_memory_mib: int = 0
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    architecture: str = ""


def runs_agents(group: NodeGroup) -> bool:
    """Whether what runs on every node runs on the nodes of this group: its pods tolerate the taint of
    GPU nodes and no other."""
    return all(
        taint.effect == "PreferNoSchedule"
        or (taint.key == GPU_TAINT and taint.effect == "NoSchedule")
        for taint in group.taints
    )


def pods_at_most(workload: Workload, groups: Iterable[NodeGroup]) -> int:
    """The maximum number of its pods, without the extra ones of an update."""
    if workload.on_every_node:
        return sum(group.nodes_maximum for group in groups if runs_agents(group))
    return workload.replicas_at_most


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Addresses outside the pods of the cluster: `port` of `ranges` (CIDR) without those `excluded`."""

    ranges: tuple[str, ...]
    port: int
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MetricsPort:
    """Where a pod of the cluster's own, by its name, serves metrics."""

    namespace: str
    pod: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """An object store's bucket, as it is known before it exists."""

    name: str
    region: str


@dataclass(frozen=True, kw_only=True)
class ManagedPlan:
    """A managed service, as it is known before it exists. `authority`: the certificates (PEM) of the
    authorities that issue its own. `problems`: why the target can't provide it."""

    authority: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ManagedServer:
    """A managed service. `host`: what its certificate is for. Pods that use it wait for `ready`, and
    connect to `destination`; the job that sets it up connects to `set_up`."""

    host: pulumi.Output[str]
    destination: Destination
    set_up: Destination
    ready: tuple[pulumi.Resource, ...]


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How the published ports of a stack are reached.

    `annotations`: those of the Service of type LoadBalancer. `source_ranges` (CIDR) may connect, by the
    load balancer and by the NetworkPolicy. `host`: the domain, if there is one. `published` is called
    with the load balancer's host name or address (EKS creates the DNS record).
    """

    source_ranges: tuple[str, ...]
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    public: bool = False
    host: str | None = None
    published: Callable[[pulumi.Output[str]], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a target adds to the namespace of the workloads; the quota includes it."""

    pods: int = 0
    cpu: float = 0
    memory_mib: int = 0


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A cluster to create objects in.

    Storage classes: None is the cluster's default. `backup`: the label `strata.backup` of claims with
    data; None without backups. `ready` is created before any pod. `in_namespace` adds the target's own
    pods beside the workloads: it is called with what their objects have in common, and with what they
    wait for (the namespace first); `allowance` is what they need. `outputs` are added to the stack's.

    `agents`: the privileged namespace, if the target has pods in it, and what pods in it wait for
    besides. `api_server` and `kubelets` are where those serve, `metrics` the cluster's own pods that
    are scraped. `roles`: by service or job with rights in the cloud, what exists before its pods;
    `credentials` is where these get theirs, and `object_store` where buckets are. `managed`: the
    managed services, by name. `client`: gives the configuration of an API client.
    """

    provider: pulumi_kubernetes.Provider
    client: "pulumi.Input[Callable[[], Configuration]]"
    exposure: Exposure
    data_storage_class: str | None = None
    cache_storage_class: str | None = None
    backup: str | None = None
    ready: tuple[pulumi.Resource, ...] = ()
    in_namespace: Callable[[Objects, Sequence[pulumi.Resource]], None] | None = None
    allowance: Allowance = Allowance()
    agents: tuple[pulumi.Resource, ...] = ()
    api_server: tuple[Destination, ...] = ()
    kubelets: tuple[Destination, ...] = ()
    metrics: tuple[MetricsPort, ...] = ()
    roles: Mapping[str, tuple[pulumi.Resource, ...]] = field(default_factory=dict)
    credentials: tuple[Destination, ...] = ()
    object_store: tuple[Destination, ...] = ()
    managed: Mapping[str, ManagedServer] = field(default_factory=dict)
    outputs: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkloadSummary:
    """What a target knows of the stack when it connects.

    `images`: the logical image of each service and job. `gpu_groups`: for each that runs on GPUs, the
    node groups where it may run. `managed`: the services that the target runs itself; the others run in
    the cluster. `secrets` has the passwords of their users.
    """

    services: tuple[Service, ...]
    jobs: tuple[Job, ...]
    images: Mapping[str, str]
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]]
    managed: tuple[tuple[Service, Managed], ...]
    secrets: DerivedSecrets = field(repr=False)


class ClusterTarget(Protocol):
    """EKS, or any kubeconfig."""

    @property
    def name_server(self) -> str:
        """The cluster's DNS server, for NGINX's `resolver`: an address or a name."""

    @property
    def groups(self) -> tuple[NodeGroup, ...]: ...

    @property
    def node_labels(self) -> Mapping[str, str]:
        """Labels that the nodes of all pods of the stack must have."""

    def image(self, name: str) -> str:
        """The full reference, by digest, of a logical image that passed `check`."""

    def bucket(self, service: Service) -> Bucket | None:
        """The bucket of a service; None if the target has no object store."""

    def managed(self, service: Service, managed: Managed) -> ManagedPlan | None:
        """What runs a managed service; None if the target has none."""

    def check_nodes(self) -> Iterable[Problem]:
        """Errors in the settings of `groups`: what fits on them is then unknown."""

    def check(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterable[Problem]:
        """Why the stack can't run on this target."""

    def connect(self, workloads: WorkloadSummary) -> Connection:
        """Creates the cluster itself if it is ours. Called once."""
