"""The settings of a stack, typed. Every one of them is a key of Pulumi.<stack>.yaml."""

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic.alias_generators import to_camel

from workload import GpuMode

PortNumber = Annotated[int, Field(ge=1, le=65535)]
Cores = Annotated[float, Field(gt=0)]
MemoryMib = Annotated[int, Field(ge=6)]


class _Settings(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, hide_input_in_errors=True
    )


class ImageSource(StrEnum):
    """Where images come from."""

    AUTO = "auto"
    """`upstream` where their registry can be reached, else `local`."""
    LOCAL = "local"
    """Built on this machine from Debian's packages."""
    UPSTREAM = "upstream"
    """Pulled, each by its digest."""


class Ports(_Settings):
    """The ports of the host's loopback on which the gateway answers."""

    http: PortNumber = 8080
    https: PortNumber = 8443


class Network(_Settings):
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


class GpuSettings(_Settings):
    """What the GPU services of the system ask for; see workload/gpu.py."""

    mode: GpuMode = GpuMode.PREFER
    count: Annotated[int, Field(ge=1)] = 1
    device_ids: tuple[str, ...] = ()
    memory_mib: Annotated[int, Field(ge=1)] | None = None
    capabilities: tuple[
        Literal["compute", "utility", "graphics", "video", "display", "compat32"], ...
    ] = ("compute", "utility")


class Host(_Settings):
    """`reserved_memory_mib`: memory kept for the system, by default a tenth, at least 1024 MiB."""

    reserved_memory_mib: Annotated[int, Field(ge=0)] | None = None


class ServiceSettings(_Settings):
    """What a stack changes in one service; a key that is absent leaves the component's choice."""

    memory_mib: MemoryMib | None = None
    cpu: Cores | None = None
    cpu_reserved: Cores | None = None
    cpu_set: Annotated[str, Field(pattern=r"^\d+(-\d+)?(,\d+(-\d+)?)*$")] | None = None
    shared_memory_mib: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1, le=30)] | None = None


class Settings(_Settings):
    """All settings of a stack.

    `system`: which system the stack is (systems/). `profiles`: which optional services it has.
    `services`: changes by service name. `secret_generations`: raising the number of a service
    replaces its secrets. `seed`: at least 32 characters that the secrets of the stack are derived
    from; where it is absent it is read from the file that STRATA_SEED_FILE names.
    """

    system: str = "reference"
    images: ImageSource = ImageSource.AUTO
    ports: Ports = Ports()
    network: Network = Network()
    gpu: GpuSettings = GpuSettings()
    host: Host = Host()
    profiles: tuple[str, ...] = ()
    services: dict[str, ServiceSettings] = Field(default_factory=dict)
    secret_generations: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    seed: Annotated[SecretStr, Field(min_length=32)] | None = None
