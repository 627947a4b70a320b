"""The settings of a stack, typed. Every one of them is a key of Pulumi.<stack>.yaml."""

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from strata.config.aws import AwsSettings
from strata.config.base import BaseSettings
from strata.model import GpuMode, GpuSharing

PortNumber = Annotated[int, Field(ge=1, le=65535)]
Cores = Annotated[float, Field(gt=0)]
MemoryMib = Annotated[int, Field(ge=1)]


class PlatformName(StrEnum):
    """Where a stack runs."""

    DOCKER = "docker"
    """The Docker engine of this machine."""
    EKS = "eks"
    """AWS, in a cluster of its own."""
    KUBERNETES = "kubernetes"
    """Any cluster that a kubeconfig leads to."""


class ImageSource(StrEnum):
    """Where images come from."""

    AUTO = "auto"
    """`upstream` where their registry can be reached, else `local`."""
    LOCAL = "local"
    """Built on this machine from Debian's packages."""
    UPSTREAM = "upstream"
    """Pulled, each by its digest."""


class Ports(BaseSettings):
    """The ports of the host's loopback on which the gateway answers."""

    http: PortNumber = 8080
    https: PortNumber = 8443


class Network(BaseSettings):
    """`range`: the addresses (CIDR, a /16) that the networks of the stack are cut from.

    By default it is chosen from 10.128.0.0/9 by the name of the stack.
    """

    range: IPv4Network | None = None

    @field_validator("range")
    @classmethod
    def _is_large_enough(cls, value: IPv4Network | None) -> IPv4Network | None:
        if value is not None and (value.prefixlen != 16 or not value.is_private):
            raise ValueError("must be a private range with a prefix of 16, such as 10.200.0.0/16")
        return value


class GpuSettings(BaseSettings):
    """What the GPU services of the system ask for; see strata/model/gpu.py."""

    mode: GpuMode = GpuMode.PREFER
    count: Annotated[int, Field(ge=1)] = 1
    device_ids: tuple[str, ...] = ()
    memory_mib: Annotated[int, Field(ge=1)] | None = None
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    mig_profile: str | None = None
    capabilities: tuple[
        Literal["compute", "utility", "graphics", "video", "display", "compat32"], ...
    ] = ("compute", "utility")


class Host(BaseSettings):
    """`reserved_memory_mib`: memory kept for the system, by default a tenth, at least 1024 MiB."""

    reserved_memory_mib: Annotated[int, Field(ge=0)] | None = None


class VolumeSettings(BaseSettings):
    """What a stack changes in one volume of a service. `storage_class`: on Kubernetes."""

    size_gib: Annotated[int, Field(ge=1)] | None = None
    storage_class: str | None = None


class ServiceSettings(BaseSettings):
    """What a stack changes in one service or job; without a key, the component's choice stands.

    `image` replaces its image, on GPUs too. `environment` is added to what the component sets.
    `volumes`: by the name of the volume.
    """

    image: str | None = None
    environment: dict[str, str] | None = None
    volumes: dict[str, VolumeSettings] | None = None

    memory_mib: MemoryMib | None = None
    cpu: Cores | None = None
    cpu_reserved: Cores | None = None
    cpu_set: Annotated[str, Field(pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$")] | None = None
    shared_memory_mib: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1)] | None = None
    replicas_maximum: Annotated[int, Field(ge=1, le=1000)] | None = None


class LoadBalancer(BaseSettings):
    """Who reaches what a stack on Kubernetes publishes.

    By default the load balancer is internal: it answers in the network of the cluster and those
    that are connected with it. With `public` it has public addresses. `ranges` (CIDR) are who may
    connect; they have to be said for a public one, and are the private ranges for an internal one.
    """

    public: bool = False
    ranges: tuple[IPv4Network, ...] = ()


class KubernetesSettings(BaseSettings):
    """`context`: of the kubeconfig (KUBECONFIG, or ~/.kube/config), by default its current one.
    `registry`: where our own images were pushed to, such as `registry.example.com/strata`."""

    context: str | None = None
    registry: str | None = None


Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class Settings(BaseSettings):
    """All settings of a stack.

    `system`: which system the stack is (systems/). `platform`: where it runs; `aws` and
    `kubernetes` are about these two. `domain`: the name under which people reach a stack on EKS.
    `image_digests`: by logical image, what `make push` pushed. `profiles`: which optional services it has.
    `services`: changes by service name. `secret_generations`: raising the number of a service
    replaces its secrets. `seed`: at least 32 characters that the secrets of the stack are derived
    from; where it is absent it is read from the file that STRATA_SEED_FILE names.
    """

    system: str = "reference"
    platform: PlatformName = PlatformName.DOCKER
    aws: AwsSettings = AwsSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    domain: (
        Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$")] | None
    ) = None
    load_balancer: LoadBalancer = LoadBalancer()
    image_digests: dict[str, Digest] = Field(default_factory=dict)
    images: ImageSource = ImageSource.AUTO
    ports: Ports = Ports()
    network: Network = Network()
    gpu: GpuSettings = GpuSettings()
    host: Host = Host()
    profiles: tuple[str, ...] = ()
    services: dict[str, ServiceSettings] = Field(default_factory=dict)
    secret_generations: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    seed: Annotated[SecretStr, Field(min_length=32)] | None = None
