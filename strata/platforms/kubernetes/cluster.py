"""What a cluster is to the platform: node groups to plan with, and a connection to make things with.

EKS and any kubeconfig are such clusters. Nothing of a cluster is made before `connect`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import pulumi
import pulumi_kubernetes

from strata.model import GpuSharing, Job, Problem, Service

GPU_RESOURCE = "nvidia.com/gpu"
"""What NVIDIA's device plugin calls a whole GPU; shared ones are `.shared`, slices `mig-PROFILE`."""
GPU_PRESENT = "nvidia.com/gpu.present"
"""The label of a node with GPUs: the device plugin's own affinity goes by it."""
NODE_GROUP = "strata.node-group"
"""The label that names the node group of a node, on clusters of ours."""


def _no_labels() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Taint:
    """`effect`: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Nodes that are alike, as the scheduler sees them.

    `cpu` (cores) and `memory_mib` are what pods can have of one node (its allocatable). `gpus` is
    what one node offers of `gpu_resource`, after sharing; `gpu_memory_mib` the memory of one GPU, or
    of one MIG slice (0: not known). `labels` are those that tell its nodes from others.
    """

    name: str
    nodes_maximum: int
    cpu: float
    memory_mib: int
    gpus: int = 0
    gpu_resource: str = GPU_RESOURCE
    gpu_memory_mib: int = 0
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    labels: Mapping[str, str] = field(default_factory=_no_labels)
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How the published ports of a stack are reached.

    `annotations` are those of the Service of type LoadBalancer. `source_ranges` (CIDR) may connect,
    at the load balancer and by the NetworkPolicy. `host` is the domain where there is one.
    `published` is called with the load balancer's host name or address (EKS makes the DNS record).
    """

    source_ranges: tuple[str, ...]
    annotations: Mapping[str, pulumi.Input[str]] = field(default_factory=_no_labels)
    public: bool = False
    host: str | None = None
    published: Callable[[pulumi.Output[str]], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What a target runs of its own in the namespace of the workloads, so that the quota has room."""

    pods: int = 0
    cpu: float = 0
    memory_mib: int = 0


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A cluster that objects can be made in.

    Storage classes: None is the cluster's default one. `backup` is what the label `strata.backup` of
    a claim with data says; None where nothing takes backups. `ready` must be there before a pod can
    run. `in_namespace` is called with the namespace of the workloads once it is described, for what
    the target adds there; `allowance` is what that needs. `outputs` are added to the stack's.
    """

    provider: pulumi_kubernetes.Provider
    exposure: Exposure
    data_storage_class: str | None = None
    cache_storage_class: str | None = None
    backup: str | None = None
    ready: tuple[pulumi.Resource, ...] = ()
    in_namespace: Callable[[pulumi_kubernetes.core.v1.Namespace], None] | None = None
    allowance: Allowance = Allowance()
    outputs: Mapping[str, pulumi.Input[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WorkloadSummary:
    """What a cluster is told of the stack before it is connected.

    `images`: by service or job, the logical image that it runs. `gpu_groups`: by service or job that
    was given GPUs, the node groups where it may run.
    """

    namespace: str
    services: tuple[Service, ...]
    jobs: tuple[Job, ...]
    images: Mapping[str, str]
    gpu_groups: Mapping[str, tuple[NodeGroup, ...]]


class ClusterTarget(Protocol):
    """A target: EKS, or any kubeconfig."""

    @property
    def name_server(self) -> str:
        """The DNS server that pods ask, as NGINX's `resolver` takes it: an address or a name."""
        ...

    @property
    def groups(self) -> tuple[NodeGroup, ...]: ...

    def image(self, name: str) -> str:
        """The full reference, by digest, of a logical image that `mistakes` has not complained of."""
        ...

    def node_problems(self) -> Iterable[Problem]:
        """Why `groups` are not what was asked for: then nobody can say what fits on them."""
        ...

    def problems(self, services: Iterable[Service], jobs: Iterable[Job]) -> Iterable[Problem]:
        """Why the stack cannot be carried out on this target."""
        ...

    def connect(self, workloads: WorkloadSummary) -> Connection:
        """Makes what there must be of the cluster itself, once."""
        ...
