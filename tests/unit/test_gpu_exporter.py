"""The exporter of GPU metrics, on a stand-in for NVML's Python binding that answers from a file.

No GPU was available: the values of `recorded/nvml.json` are composed, in the units that NVML documents.
"""

import json
import re
import types
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from strata.components.observability.gpu import GPU, LOST
from strata.platforms.eks.add_ons.dcgm_exporter import COUNTERS
from tests.unit.recipe_code import RECORDED, load

exporter_module = load("gpu-exporter", "gpu_exporter")
UnavailableError = exporter_module.UnavailableError

# nvml.h
ERRORS = {
    "NVML_ERROR_NOT_SUPPORTED": 3,
    "NVML_ERROR_NOT_FOUND": 6,
    "NVML_ERROR_DRIVER_NOT_LOADED": 9,
    "NVML_ERROR_TIMEOUT": 10,
    "NVML_ERROR_GPU_IS_LOST": 15,
    "NVML_ERROR_RESET_REQUIRED": 16,
    "NVML_ERROR_UNKNOWN": 999,
}


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


def failure(error: str) -> NVMLError:
    return NVMLError(ERRORS[error])


class Nvml:
    """The part of `pynvml` that the exporter uses. A handle is the index of a device."""

    NVMLError = NVMLError
    NVML_SUCCESS = 0
    NVML_ERROR_GPU_IS_LOST = ERRORS["NVML_ERROR_GPU_IS_LOST"]
    NVML_ERROR_RESET_REQUIRED = ERRORS["NVML_ERROR_RESET_REQUIRED"]
    NVML_CLOCK_SM = 1
    NVML_CLOCK_MEM = 2
    NVML_TEMPERATURE_GPU = 0
    NVML_MEMORY_ERROR_TYPE_CORRECTED = 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1
    NVML_VOLATILE_ECC = 0
    NVML_FI_DEV_MEMORY_TEMP = 82
    nvmlMemory_v2 = 0x02000028  # noqa: N815  (NVML's name)
    nvmlEventTypeXidCriticalError = 8  # noqa: N815

    def __init__(self) -> None:
        self.devices: list[dict[str, Any]] = json.loads((RECORDED / "nvml.json").read_text())[
            "devices"
        ]
        self.failing: dict[int, str] = {}
        self.events: dict[int, list[int]] = {index: [] for index in range(len(self.devices))}
        self.driver = True
        self._sets: list[int] = []

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise failure("NVML_ERROR_DRIVER_NOT_LOADED")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._check(index)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        for index, device in enumerate(self.devices):
            if device["nvmlDeviceGetUUID"] == uuid:
                self._check(index)
                return index
        raise failure("NVML_ERROR_NOT_FOUND")

    def nvmlDeviceGetFieldValues(self, handle: int, fields: list[int]) -> list[object]:  # noqa: N802
        self._check(handle)
        values: list[object] = []
        for field in fields:
            value = self.devices[handle]["nvmlDeviceGetFieldValues"][str(field)]
            failed = isinstance(value, str)
            values.append(
                types.SimpleNamespace(
                    nvmlReturn=ERRORS[value] if failed else 0,
                    value=types.SimpleNamespace(uiVal=0 if failed else value),
                )
            )
        return values

    def nvmlEventSetCreate(self) -> int:  # noqa: N802
        self._sets.append(-1)
        return len(self._sets) - 1

    def nvmlDeviceRegisterEvents(self, handle: int, kinds: int, events: int) -> None:  # noqa: N802
        assert kinds == self.nvmlEventTypeXidCriticalError
        if handle not in self.events:
            raise failure("NVML_ERROR_NOT_SUPPORTED")
        self._sets[events] = handle

    def nvmlEventSetWait_v2(self, events: int, timeout_ms: int) -> object:  # noqa: N802
        assert timeout_ms == 0
        queue = self.events[self._sets[events]]
        if not queue:
            raise failure("NVML_ERROR_TIMEOUT")
        return types.SimpleNamespace(eventData=queue.pop(0))

    def _check(self, handle: int) -> None:
        if handle in self.failing:
            raise failure(self.failing[handle])

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Every other call: a value, or one by the first argument, or the name of an error."""

        def call(handle: int, *arguments: int, version: int | None = None) -> Any:
            self._check(handle)
            assert (version == self.nvmlMemory_v2) == (name == "nvmlDeviceGetMemoryInfo")
            value = self.devices[handle][name]
            if arguments and isinstance(value, dict):
                value = value[str(arguments[0])]
            if isinstance(value, str) and value in ERRORS:
                raise failure(value)
            return types.SimpleNamespace(**value) if isinstance(value, dict) else value

        return call


@pytest.fixture
def nvml() -> Nvml:
    return Nvml()


def samples(exporter: Any) -> dict[str, dict[str, float]]:
    """The values by metric and GPU."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(exporter.metrics()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[sample.labels.get("gpu", "")] = sample.value
    return {name.removeprefix("DCGM_FI_DEV_"): values for name, values in found.items()}


def test_the_values_in_dcgms_units(nvml: Nvml) -> None:
    assert samples(exporter_module.Exporter(nvml)) == {
        "SM_CLOCK": {"0": 1980, "1": 210},
        "MEM_CLOCK": {"0": 3201, "1": 405},
        "MEMORY_TEMP": {"0": 61},
        "GPU_TEMP": {"0": 54, "1": 38},
        "POWER_USAGE": {"0": 412.345, "1": 12.034},
        # The parser follows OpenMetrics, where the name of a counter ends in _total.
        "PCIE_REPLAY_COUNTER_total": {"0": 2},
        "GPU_UTIL": {"0": 87, "1": 0},
        "MEM_COPY_UTIL": {"0": 41, "1": 0},
        "XID_ERRORS": {"0": 0, "1": 0},
        "FB_FREE": {"0": 104885, "1": 22520},
        "FB_USED": {"0": 38214, "1": 0},
        "ECC_SBE_VOL_TOTAL_total": {"0": 3, "1": 3},
        "ECC_DBE_VOL_TOTAL_total": {"0": 0, "1": 0},
        "CLOCK_THROTTLE_REASONS": {"0": 4, "1": 1},
        "gpu_exporter_lost_gpus": {"": 0},
    }


def test_a_sample_as_dcgm_exporter_writes_it(nvml: Nvml) -> None:
    text = exporter_module.Exporter(nvml).metrics()
    assert (
        "# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).\n"
        "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\n"
        'DCGM_FI_DEV_GPU_TEMP{gpu="0",UUID="GPU-4c1a6a5e-6a5e-4d1b-9a51-0d2f6d2b7a01",'
        'pci_bus_id="00000000:18:00.0",device="nvidia0",modelName="NVIDIA H200"} 54\n'
    ) in text


def test_the_last_xid_stays(nvml: Nvml) -> None:
    exporter = exporter_module.Exporter(nvml)
    nvml.events[0] += [31, 94]
    assert samples(exporter)["XID_ERRORS"] == {"0": 94, "1": 0}
    assert samples(exporter)["XID_ERRORS"] == {"0": 94, "1": 0}


def test_a_gpu_that_reports_no_errors(nvml: Nvml) -> None:
    del nvml.events[1]
    assert samples(exporter_module.Exporter(nvml))["XID_ERRORS"] == {"0": 0}


def test_a_flood_of_errors_ends(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter_module, "EVENTS_MAXIMUM", 3)
    exporter = exporter_module.Exporter(nvml)
    nvml.events[0] += [1, 2, 3, 4]
    assert samples(exporter)["XID_ERRORS"]["0"] == 3


@pytest.mark.parametrize("error", ["NVML_ERROR_GPU_IS_LOST", "NVML_ERROR_RESET_REQUIRED"])
def test_a_lost_gpu(nvml: Nvml, error: str) -> None:
    exporter = exporter_module.Exporter(nvml)
    exporter.health()
    nvml.failing[0] = error
    nvml.events[0].append(79)
    found = samples(exporter)
    assert found["gpu_exporter_lost_gpus"] == {"": 1}
    assert found["GPU_UTIL"] == {"1": 0}
    assert found["XID_ERRORS"] == {"0": 79, "1": 0}
    with pytest.raises(UnavailableError, match=r"^1 of 2 GPUs lost: GPU-4c1a\S+ \(error 1[56]\)$"):
        exporter.health()
    nvml.failing.clear()
    exporter.health()
    assert samples(exporter)["gpu_exporter_lost_gpus"] == {"": 0}


def test_a_gpu_that_is_lost_between_two_calls(nvml: Nvml) -> None:
    exporter = exporter_module.Exporter(nvml)
    nvml.devices[0]["nvmlDeviceGetUtilizationRates"] = "NVML_ERROR_GPU_IS_LOST"
    found = samples(exporter)
    assert found["GPU_TEMP"] == {"1": 38}
    assert found["gpu_exporter_lost_gpus"] == {"": 1}


def test_an_error_of_one_value(nvml: Nvml) -> None:
    exporter = exporter_module.Exporter(nvml)
    nvml.devices[0]["nvmlDeviceGetPowerUsage"] = "NVML_ERROR_UNKNOWN"
    found = samples(exporter)
    assert found["POWER_USAGE"] == {"1": 12.034}
    assert found["GPU_TEMP"] == {"0": 54, "1": 38}
    assert found["gpu_exporter_lost_gpus"] == {"": 0}


def test_a_gpu_that_is_missing(nvml: Nvml) -> None:
    """The driver forgets it, and the other one has its index."""
    exporter = exporter_module.Exporter(nvml)
    del nvml.devices[0]
    found = samples(exporter)
    assert found["gpu_exporter_lost_gpus"] == {"": 1}
    assert found["GPU_TEMP"] == {"1": 38}


def test_fewer_gpus_than_expected(nvml: Nvml) -> None:
    exporter = exporter_module.Exporter(nvml, 3)
    assert samples(exporter)["gpu_exporter_lost_gpus"] == {"": 1}
    with pytest.raises(UnavailableError, match="1 of 3 GPUs lost: never seen"):
        exporter.health()


def test_more_gpus_than_expected(nvml: Nvml) -> None:
    exporter = exporter_module.Exporter(nvml, 1)
    exporter.health()
    assert samples(exporter)["GPU_TEMP"] == {"0": 54, "1": 38}


def test_a_gpu_that_is_lost_at_the_start(nvml: Nvml, capsys: pytest.CaptureFixture[str]) -> None:
    nvml.failing[1] = "NVML_ERROR_GPU_IS_LOST"
    exporter = exporter_module.Exporter(nvml)
    assert "gpu-exporter: GPU 1: error 15" in capsys.readouterr().err
    assert samples(exporter)["gpu_exporter_lost_gpus"] == {"": 1}


def test_without_a_driver(nvml: Nvml) -> None:
    nvml.driver = False
    with pytest.raises(NVMLError):
        exporter_module.Exporter(nvml)


def test_dcgm_exporter_has_the_same_metrics_and_every_one_that_alerts_and_panels_use() -> None:
    read = {
        name: (kind, text)
        for name, kind, text in (
            [part.strip() for part in line.split(",", 2)]
            for line in COUNTERS.splitlines()
            if not line.startswith("#")
        )
    }
    own = {exporter_module.LOST}
    assert read == {
        name: family for name, family in exporter_module.FAMILIES.items() if name not in own
    }
    expressions = [alert.expression for alert in GPU.alerts]
    expressions += [text for panel in GPU.panels for text in panel.expressions.values()]
    used = set(re.findall(r"\b(?:DCGM|gpu_exporter)_\w+", " ".join(expressions)))
    assert used - set(read) == own
    assert set(re.findall(r"\b(?:DCGM|gpu_exporter)_\w+", LOST.expression)) == own
