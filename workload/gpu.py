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


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A request for GPUs.

    Either `count` of any GPUs, or the very ones in `device_ids` (indexes or UUIDs as
    `nvidia-smi -L` prints them). `memory_mib` is the least memory that each GPU must have.
    `capabilities` are the driver's capabilities the container gets (NVIDIA container toolkit,
    "Driver Capabilities"). `image` is the logical image that runs when there is a GPU.
    """

    mode: GpuMode = GpuMode.OFF
    count: int = 1
    device_ids: tuple[str, ...] = ()
    memory_mib: int | None = None
    capabilities: tuple[str, ...] = ("compute", "utility")
    image: str | None = None

    @property
    def wanted(self) -> int:
        """How many GPUs this asks for, if it asks at all."""
        if self.mode is GpuMode.OFF:
            return 0
        return len(self.device_ids) or self.count
