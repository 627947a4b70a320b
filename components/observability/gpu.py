"""What to observe of GPUs, in the metric names of NVIDIA's dcgm-exporter.

No stack runs a GPU exporter by itself. An exporter sees only the GPUs that its container has, and the
budget counts these as taken: a host with one exclusive GPU would have none left for the application. Where
all GPU services time-slice, an exporter that time-slices too takes none away; docs/observability.md shows
it. `GPU` is its `monitoring`.
"""

from strata.model import Alert, Monitoring, Panel, Severity, Unit

_SERVICE = 'service="$service"'


def _each(expression: str) -> str:
    """One result for each GPU."""
    return f"max by (service, instance, gpu, modelName) ({expression})"


# Bits 3, 5, 6 and 7: slowdown by hardware, heat (software, hardware), power brake (NVML,
# nvmlClocksThrottleReasons). The others, such as idle clocks, are normal.
_REASONS = f"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{{{_SERVICE}}}"
_THROTTLED = f"floor({_REASONS} / 8) % 2 > 0 or floor({_REASONS} / 32) % 8 > 0"
_USED = f"DCGM_FI_DEV_FB_USED{{{_SERVICE}}}"
_UTILISATION = f"DCGM_FI_DEV_GPU_UTIL{{{_SERVICE}}}"

PRICE = "gpu_dollars_per_hour"
"""The metric with the price of one GPU, if the settings have it."""

LOST = Alert(
    name="GpuLost",
    expression=f"max by (service, instance) (gpu_exporter_lost_gpus{{{_SERVICE}}}) > 0",
    summary="{{ $value }} GPUs fell off the bus, need a reset, or are missing",
    severity=Severity.CRITICAL,
    for_seconds=15,
)
"""Of our own exporter: dcgm-exporter says nothing of a GPU that it no longer finds. In a cluster, the
device plugin reports it (`alerts.OF_A_CLUSTER`)."""

GPU = Monitoring(
    alerts=(
        LOST,
        Alert(
            name="GpuError",
            # The metric is the last error, so it stays.
            expression=_each(
                f"DCGM_FI_DEV_XID_ERRORS{{{_SERVICE}}} > 0"
                f" and changes(DCGM_FI_DEV_XID_ERRORS{{{_SERVICE}}}[15m]) > 0"
            ),
            summary="the driver reported XID {{ $value }} of GPU {{ $labels.gpu }}",
            for_seconds=0,
        ),
        Alert(
            name="GpuMemoryErrors",
            expression=_each(f"increase(DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{{{_SERVICE}}}[1h])") + " > 0",
            summary="the memory of GPU {{ $labels.gpu }} had errors that ECC can't correct",
            severity=Severity.CRITICAL,
            for_seconds=0,
        ),
        Alert(
            name="GpuHot",
            # Data-centre GPUs slow down above 85 to 95 °C (nvidia-smi -q -d TEMPERATURE).
            expression=_each(f"DCGM_FI_DEV_GPU_TEMP{{{_SERVICE}}}") + " > 85",
            summary="GPU {{ $labels.gpu }} has {{ $value }} °C",
            for_seconds=300,
        ),
        Alert(
            name="GpuThrottled",
            expression=_each(_THROTTLED),
            summary="GPU {{ $labels.gpu }} runs at lower clocks, because of heat or its power supply",
            for_seconds=300,
        ),
        Alert(
            name="GpuMemoryNearLimit",
            expression=_each(f"{_USED} / ({_USED} + DCGM_FI_DEV_FB_FREE{{{_SERVICE}}})")
            + " > 0.95",
            summary="{{ $value | humanizePercentage }} of the memory of GPU {{ $labels.gpu }} is used",
            for_seconds=300,
        ),
        Alert(
            name="GpuIdle",
            # A process with a CUDA context uses some hundred MiB.
            expression=_each(f"{_USED} > 256 and max_over_time({_UTILISATION}[1h]) == 0")
            + " and "
            + _each(f"{_UTILISATION} offset 1h")
            + " >= 0",
            summary="GPU {{ $labels.gpu }} ({{ $labels.modelName }}) was idle for an hour, though a"
            " container uses its memory"
            f'{{{{ with query "{PRICE}" }}}}: it costs {{{{ . | first | value }}}} dollars an hour'
            "{{ end }}",
            for_seconds=0,
        ),
    ),
    panels=(
        Panel(
            title="Utilization",
            expressions={"GPU {{gpu}}": f"{_UTILISATION} / 100"},
            unit=Unit.SHARE,
        ),
        Panel(
            title="Memory used",
            expressions={"GPU {{gpu}}": f"{_USED} * 1024 * 1024"},
            unit=Unit.BYTES,
        ),
        Panel(
            title="Temperature",
            expressions={"GPU {{gpu}}": f"DCGM_FI_DEV_GPU_TEMP{{{_SERVICE}}}"},
            unit=Unit.CELSIUS,
        ),
        Panel(
            title="Power",
            expressions={"GPU {{gpu}}": f"DCGM_FI_DEV_POWER_USAGE{{{_SERVICE}}}"},
            unit=Unit.WATTS,
        ),
    ),
)
