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
    """A NAT gateway in each zone. If a zone fails, the others keep their access."""
    ONE = "one"
    """One NAT gateway for all zones. Cheaper, but no outbound access if its zone fails."""


class Capacity(StrEnum):
    """The purchase option of a node group's instances."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    """Spare capacity. EC2 reclaims it with two minutes' notice."""
    CAPACITY_BLOCK = "capacity-block"
    """An EC2 Capacity Block for ML: capacity reserved for a period."""
    RESERVATION = "reservation"
    """An On-Demand Capacity Reservation."""


class NodeImage(StrEnum):
    """The operating system of a GPU node."""

    AL2023 = "al2023"
    """Amazon Linux 2023 with the NVIDIA driver. The stack installs the device plugin."""
    BOTTLEROCKET = "bottlerocket"
    """Bottlerocket with the NVIDIA driver and device plugin."""


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must name at least one")
    return value


InstanceType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*\.[a-z0-9-]+$")]
InstanceTypes = Annotated[tuple[InstanceType, ...], AfterValidator(_not_empty)]
NodeCount = Annotated[int, Field(ge=0, le=450)]  # EKS quota: nodes in a managed node group


class SystemNodes(BaseSettings):
    """The on-demand nodes for everything that needs no GPU.

    `instance_types` are tried in order. `minimum` and `maximum` count the nodes of all zones.
    `release` is the version of the node image, such as `1.35.6-20260818`. It defaults to the one
    pinned for the Kubernetes version; without a pin, to the one that EKS recommends at creation.
    """

    instance_types: InstanceTypes = ("m7i.xlarge", "m6i.xlarge", "m5.xlarge")
    minimum: Annotated[int, Field(ge=1, le=450)] = 3
    maximum: Annotated[int, Field(ge=1, le=450)] = 6
    disk_gib: Annotated[int, Field(ge=20, le=16384)] = 50
    release: str | None = None


class GpuNodes(BaseSettings):
    """A group of GPU nodes. A taint keeps pods without a GPU off them.

    On-demand `instance_types` are tried in order; for spot, EC2 chooses the type that it is least
    likely to reclaim. `reservation_id` names the capacity reservation or block. `zone` (a letter)
    keeps the group in one zone, as a reservation or EFA requires. `efa` attaches every Elastic
    Fabric Adapter of the instance type, in a placement group. `time_slices` is the number of
    containers that share a GPU with `sharing: time-slicing`; `mig_profile` is the profile that
    each GPU is partitioned into with `sharing: mig`.
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
    # 24 GB of GPU memory each, the newer and cheaper family first (docs/costs.md).
    GpuNodes.model_validate(
        {"name": "gpu", "instanceTypes": ("g6.xlarge", "g5.xlarge", "g6.2xlarge", "g5.2xlarge")}
    ),
)


class AwsSettings(BaseSettings):
    """The account, network, cluster and nodes of a stack on EKS.

    `account` has 12 digits. `zones` is the number of availability zones; `zone_letters` selects
    them and defaults to the first of the region. `range` is the CIDR of the VPC, `service_range`
    that of Kubernetes Services. `public_access_ranges` may reach the cluster's API from outside the
    VPC; by default, nobody can. `administrators` are ARNs of roles or users with full access to the
    cluster. `hosted_zone_id` is the Route 53 zone of `strata:domain`; without it, the stack creates
    one. `add_ons` overrides the pinned version of an add-on.
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
