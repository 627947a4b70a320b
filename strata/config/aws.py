"""The settings of a stack on AWS: account, network, cluster and nodes."""

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field

from strata.config.base import BaseSettings
from strata.model import GpuSharing
from strata.pins import EKS_KUBERNETES_VERSION


class Nat(StrEnum):
    """How private nodes reach the internet."""

    PER_ZONE = "per-zone"
    """A NAT gateway in each zone: a zone that fails takes no other along."""
    ONE = "one"
    """One for all zones: a third of the cost, and no way out while its zone is away."""


class Capacity(StrEnum):
    """How the instances of a node group are bought."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    """Spare capacity, taken back with two minutes' notice."""
    CAPACITY_BLOCK = "capacity-block"
    """A block that was reserved for a span of time (EC2 Capacity Blocks for ML)."""
    RESERVATION = "reservation"
    """An On-Demand Capacity Reservation."""


class NodeImage(StrEnum):
    """What a GPU node boots."""

    AL2023 = "al2023"
    """Amazon Linux 2023 with NVIDIA's driver; the device plugin is brought by the stack."""
    BOTTLEROCKET = "bottlerocket"
    """Bottlerocket with NVIDIA's driver and device plugin."""


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("there is none: name at least one")
    return value


InstanceType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")]
InstanceTypes = Annotated[tuple[InstanceType, ...], AfterValidator(_not_empty)]
NodeCount = Annotated[int, Field(ge=0, le=450)]  # nodes of a managed node group: EKS quotas


class SystemNodes(BaseSettings):
    """The nodes of everything that needs no GPU: always on demand.

    `instance_types` in the order in which they are tried. `release` is the version of the node
    image, such as `1.35.6-20260818`; by default the one that the stack pins for its version of
    Kubernetes, else the one that EKS recommends when the group is made. `minimum` and `maximum` are
    of all zones together.
    """

    instance_types: InstanceTypes = (
        "m7i.xlarge",
        "m6i.xlarge",
        "m5.xlarge",
    )
    minimum: Annotated[int, Field(ge=1, le=450)] = 3
    maximum: Annotated[int, Field(ge=1, le=450)] = 6
    disk_gib: Annotated[int, Field(ge=20, le=16384)] = 50
    release: str | None = None


class GpuNodes(BaseSettings):
    """A group of nodes with GPUs, tainted so that nothing else comes there.

    `instance_types` in the order in which they are tried (on demand; for spot, EC2 takes the one
    that is least likely to be taken back). `reservation_id` is the capacity reservation or block,
    for these two kinds of `capacity`. `zone` (a letter) keeps the group in one zone, where a
    reservation or EFA needs that. `efa` gives the nodes every Elastic Fabric Adapter their instance
    type has, in a placement group. `time_slices`: how many containers use a GPU in turns, with
    `sharing: time-slicing`; `mig_profile`: the slices each GPU is cut into, with `sharing: mig`.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    instance_types: InstanceTypes
    capacity: Capacity = Capacity.ON_DEMAND
    reservation_id: Annotated[str, Field(pattern=r"^cr-[0-9a-f]{8,17}$")] | None = None
    minimum: NodeCount = 0
    maximum: Annotated[int, Field(ge=1, le=450)] = 2
    zone: Annotated[str, Field(pattern=r"^[a-z]$")] | None = None
    image: NodeImage = NodeImage.AL2023
    release: str | None = None
    disk_gib: Annotated[int, Field(ge=50, le=16384)] = 200
    efa: bool = False
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    time_slices: Annotated[int, Field(ge=2, le=48)] | None = None
    mig_profile: Annotated[str, Field(pattern=r"^[1-7]g\.\d+gb(\+me)?$")] | None = None


DEFAULT_GPU_NODES = (
    # 24 GB of GPU memory each; of the newer family first (docs/costs.md).
    GpuNodes.model_validate(
        {"name": "gpu", "instanceTypes": ("g6.xlarge", "g5.xlarge", "g6.2xlarge", "g5.2xlarge")}
    ),
)


class AwsSettings(BaseSettings):
    """Where on AWS a stack is, and what its cluster is like.

    `account`: 12 digits. `zones`: how many availability zones, and `zone_letters` which ones (by
    default the first of the region). `range` is that of the VPC, `service_range` that of
    Kubernetes' services. `public_access_ranges`: who may reach the cluster's API from outside of
    the VPC; by default nobody. `administrators`: ARNs of the roles or users that may do anything in
    the cluster. `hosted_zone_id`: the Route 53 zone of `strata:domain`; by default one is made.
    `add_ons` gives an add-on another version than the stack's own.
    """

    account: Annotated[str, Field(pattern=r"^\d{12}$")] | None = None
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    zones: Annotated[int, Field(ge=2, le=6)] = 3
    zone_letters: tuple[Annotated[str, Field(pattern=r"^[a-z]$")], ...] = ()
    range: IPv4Network = IPv4Network("10.64.0.0/16")
    service_range: IPv4Network = IPv4Network("172.20.0.0/16")
    nat: Nat = Nat.PER_ZONE
    kubernetes_version: Annotated[str, Field(pattern=r"^1\.\d{2}$")] = EKS_KUBERNETES_VERSION
    public_access_ranges: tuple[IPv4Network, ...] = ()
    administrators: tuple[
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/.+$")], ...
    ] = ()
    hosted_zone_id: Annotated[str, Field(pattern=r"^Z[A-Z0-9]{1,31}$")] | None = None
    log_retention_days: Annotated[int, Field(ge=1)] = 90
    backup_retention_days: Annotated[int, Field(ge=1)] = 35
    system_nodes: SystemNodes = SystemNodes()
    gpu_nodes: tuple[GpuNodes, ...] = DEFAULT_GPU_NODES
    add_ons: dict[str, str] = Field(default_factory=dict)
