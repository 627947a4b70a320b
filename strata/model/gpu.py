"""GPU requests."""

from dataclasses import dataclass
from enum import StrEnum

from strata.model.build import Build


class GpuMode(StrEnum):
    REQUIRE = "require"
    """Fail before anything is created if no GPU is available."""
    PREFER = "prefer"
    """Use a GPU if one is available, otherwise run on the CPU with a warning."""
    OFF = "off"
    """Run on the CPU."""


class GpuSharing(StrEnum):
    """How workloads share a GPU."""

    EXCLUSIVE = "exclusive"
    """One container has the whole GPU."""
    TIME_SLICING = "time-slicing"
    """Containers take turns on the GPU. Their memory isn't isolated."""
    MIG = "mig"
    """A slice with dedicated memory and compute (NVIDIA Multi-Instance GPU)."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A request for GPUs.

    Either any `count` GPUs, or those in `device_ids` (indexes or UUIDs as `nvidia-smi -L` prints
    them). `memory_mib` is the minimum memory of each. `sharing`: whether other containers may use
    them; with `mig`, `count` and `memory_mib` apply to slices of `mig_profile` (such as `1g.10gb`).
    `capabilities` are the driver capabilities of the container (NVIDIA container toolkit, "Driver
    Capabilities"). `image` is the logical image that runs on a GPU.
    """

    mode: GpuMode = GpuMode.OFF
    count: int = 1
    device_ids: tuple[str, ...] = ()
    memory_mib: int | None = None
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    mig_profile: str | None = None
    capabilities: tuple[str, ...] = ("compute", "utility")
    image: str | Build | None = None

    @property
    def requested(self) -> int:
        """The number of requested GPUs."""
        if self.mode is GpuMode.OFF:
            return 0
        return len(self.device_ids) or self.count
