"""What a service asks of an accelerator."""

from dataclasses import dataclass
from enum import StrEnum


class GpuMode(StrEnum):
    REQUIRE = "require"
    """Fail before anything is made where no GPU can be had."""
    PREFER = "prefer"
    """Take a GPU where there is one, else run on the CPU, and say so."""
    OFF = "off"
    """Run on the CPU."""


class GpuSharing(StrEnum):
    """How a GPU is divided among those that use it."""

    EXCLUSIVE = "exclusive"
    """Nobody else gets it."""
    TIME_SLICING = "time-slicing"
    """Others get it too, in turns: with no wall between their memories."""
    MIG = "mig"
    """A slice of it, with memory and compute of its own (NVIDIA Multi-Instance GPU)."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A request for GPUs.

    Either `count` of any GPUs, or the very ones in `device_ids` (indexes or UUIDs as
    `nvidia-smi -L` prints them). `memory_mib` is the least memory that each GPU must have.
    `sharing` says whether others may use them too; with `mig`, `count` is of slices of
    `mig_profile` (such as `1g.10gb`), and `memory_mib` is that of a slice.
    `capabilities` are the driver's capabilities the container gets (NVIDIA container toolkit,
    "Driver Capabilities"). `image` is the logical image that runs when there is a GPU.
    """

    mode: GpuMode = GpuMode.OFF
    count: int = 1
    device_ids: tuple[str, ...] = ()
    memory_mib: int | None = None
    sharing: GpuSharing = GpuSharing.EXCLUSIVE
    mig_profile: str | None = None
    capabilities: tuple[str, ...] = ("compute", "utility")
    image: str | None = None

    @property
    def requested(self) -> int:
        """How many GPUs this asks for, if it asks at all."""
        if self.mode is GpuMode.OFF:
            return 0
        return len(self.device_ids) or self.count
