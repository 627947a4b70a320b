"""The metrics of the host's GPUs, in the names and labels of NVIDIA's dcgm-exporter, read from NVML,
the library of the driver. DCGM isn't needed.

Environment: EXPECTED_GPUS, the number of GPUs that must work (default: those present at the start).
LISTEN_ADDRESSES (127.0.0.1), LISTEN_PORT (9400). Exits with a message if NVML can't be initialised.

A value that a GPU doesn't support is left out. `gpu_exporter_lost_gpus` counts the GPUs that fell off
the bus, need a reset, or are missing; GET /health answers 503 while there is one. A lost GPU has no
metrics but its last XID error.
"""

from __future__ import annotations

import os
import sys

from exposition import Exposition, UnavailableError, labels, serve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DEFAULT_PORT = 9400
MIB = 1 << 20
# A GPU that fails floods its queue of events; the last one is shown.
EVENTS_MAXIMUM = 1000

XID = "DCGM_FI_DEV_XID_ERRORS"
LOST = "gpu_exporter_lost_gpus"
# Texts of dcgm-exporter's etc/default-counters.csv and etc/dcp-metrics-included.csv.
FAMILIES = {
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", "SM clock frequency (in MHz)."),
    "DCGM_FI_DEV_MEM_CLOCK": ("gauge", "Memory clock frequency (in MHz)."),
    "DCGM_FI_DEV_MEMORY_TEMP": ("gauge", "Memory temperature (in C)."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "GPU temperature (in C)."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": ("counter", "Total number of PCIe retries."),
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("gauge", "Memory utilization (in %)."),
    XID: ("gauge", "Value of the last XID error encountered."),
    "DCGM_FI_DEV_FB_FREE": ("gauge", "Framebuffer memory free (in MiB)."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Framebuffer memory used (in MiB)."),
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": (
        "counter",
        "Total number of single-bit volatile ECC errors.",
    ),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": (
        "counter",
        "Total number of double-bit volatile ECC errors.",
    ),
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": ("gauge", "Current clock throttle reasons (bitmask)."),
    LOST: ("gauge", "GPUs that fell off the bus, need a reset, or are missing."),
}


def _memory_temperature(nvml: Any, handle: object) -> float:
    (field,) = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_MEMORY_TEMP])
    if field.nvmlReturn != nvml.NVML_SUCCESS:
        raise nvml.NVMLError(field.nvmlReturn)
    return float(field.value.uiVal)


def _memory(nvml: Any, handle: object) -> Any:
    # The first version counts what the driver reserves as used; DCGM doesn't.
    return nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)


def _ecc(nvml: Any, handle: object, kind: int) -> float:
    return float(nvml.nvmlDeviceGetTotalEccErrors(handle, kind, nvml.NVML_VOLATILE_ECC))


READERS: dict[str, Callable[[Any, object], float]] = {
    "DCGM_FI_DEV_SM_CLOCK": lambda nvml, handle: nvml.nvmlDeviceGetClockInfo(
        handle, nvml.NVML_CLOCK_SM
    ),
    "DCGM_FI_DEV_MEM_CLOCK": lambda nvml, handle: nvml.nvmlDeviceGetClockInfo(
        handle, nvml.NVML_CLOCK_MEM
    ),
    "DCGM_FI_DEV_MEMORY_TEMP": _memory_temperature,
    "DCGM_FI_DEV_GPU_TEMP": lambda nvml, handle: nvml.nvmlDeviceGetTemperature(
        handle, nvml.NVML_TEMPERATURE_GPU
    ),
    "DCGM_FI_DEV_POWER_USAGE": lambda nvml, handle: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": lambda nvml, handle: nvml.nvmlDeviceGetPcieReplayCounter(
        handle
    ),
    "DCGM_FI_DEV_GPU_UTIL": lambda nvml, handle: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
    "DCGM_FI_DEV_MEM_COPY_UTIL": lambda nvml, handle: (
        nvml.nvmlDeviceGetUtilizationRates(handle).memory
    ),
    "DCGM_FI_DEV_FB_FREE": lambda nvml, handle: _memory(nvml, handle).free // MIB,
    "DCGM_FI_DEV_FB_USED": lambda nvml, handle: _memory(nvml, handle).used // MIB,
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": lambda nvml, handle: _ecc(
        nvml, handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED
    ),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": lambda nvml, handle: _ecc(
        nvml, handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    ),
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": lambda nvml, handle: (
        nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    ),
}


class Gpu:
    """One GPU, known by its UUID: its index may change when another one is lost."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self.uuid: str = nvml.nvmlDeviceGetUUID(handle)
        self.labels = labels(
            {
                "gpu": str(index),
                "UUID": self.uuid,
                "pci_bus_id": nvml.nvmlDeviceGetPciInfo(handle).busId,
                "device": f"nvidia{index}",
                "modelName": nvml.nvmlDeviceGetName(handle),
            }
        )
        self._last_xid = 0
        self._events: object = None
        try:
            events = nvml.nvmlEventSetCreate()
            nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
            self._events = events
        except nvml.NVMLError:
            pass  # This GPU doesn't report errors.

    def read(self) -> dict[str, float]:
        """The metrics that this GPU supports. Raises NVMLError if it is lost."""
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByUUID(self.uuid)
        values: dict[str, float] = {}
        for name, reader in READERS.items():
            try:
                values[name] = reader(nvml, handle)
            except nvml.NVMLError as error:
                if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED):
                    raise
        return values

    def last_xid(self) -> int | None:
        """The last XID error since the start, 0 if there was none; None if the GPU doesn't report
        them."""
        if self._events is None:
            return None
        for _ in range(EVENTS_MAXIMUM):
            try:
                self._last_xid = int(self._nvml.nvmlEventSetWait_v2(self._events, 0).eventData)
            except self._nvml.NVMLError:
                break  # Nothing is left in the queue, or the GPU is lost.
        return self._last_xid


class Exporter:
    """`nvml` is the module pynvml. Raises its NVMLError if the driver isn't loaded."""

    def __init__(self, nvml: Any, expected: int | None = None) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        self._gpus: list[Gpu] = []
        found = nvml.nvmlDeviceGetCount()
        for index in range(found):
            try:
                self._gpus.append(Gpu(nvml, index))
            except nvml.NVMLError as error:
                print(f"gpu-exporter: GPU {index}: {error}", file=sys.stderr)
        self._expected = found if expected is None else expected

    def metrics(self) -> str:
        return self._scrape()[0]

    def health(self) -> None:
        """Raises UnavailableError if a GPU is lost."""
        lost = self._scrape()[1]
        if lost:
            raise UnavailableError(f"{len(lost)} of {self._expected} GPUs lost: {', '.join(lost)}")

    def _scrape(self) -> tuple[str, list[str]]:
        """The text, and what is lost: the UUID and the error of each GPU, as far as it is known."""
        written = Exposition(FAMILIES)
        lost: list[str] = []
        for gpu in self._gpus:
            try:
                for name, value in gpu.read().items():
                    written.add(name, gpu.labels, value)
            except self._nvml.NVMLError as error:
                lost.append(f"{gpu.uuid} ({error})")
            xid = gpu.last_xid()
            if xid is not None:
                written.add(XID, gpu.labels, xid)
        lost += ["never seen"] * (self._expected - len(self._gpus))
        written.add(LOST, "", len(lost))
        return written.text(), lost


def main() -> None:
    import pynvml

    expected = os.environ.get("EXPECTED_GPUS")
    try:
        exporter = Exporter(pynvml, int(expected) if expected else None)
    except pynvml.NVMLError as error:
        sys.exit(f"gpu-exporter: NVML can't be initialised: {error}")
    serve("gpu-exporter", DEFAULT_PORT, exporter.metrics, exporter.health)


if __name__ == "__main__":
    main()
