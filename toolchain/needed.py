"""Which images a stack needs."""

from __future__ import annotations

from collections.abc import Iterable

import systems
from strata.collect import collect
from strata.config import Settings
from strata.images import catalogue
from strata.model import GpuMode


def own_images(settings: Settings) -> set[str]:
    """The images of a stack that no public registry has. Raises `InvalidStackError`."""
    composition = collect(systems.find(settings.system), settings)
    names: set[str] = set()
    for workload in composition.workloads:
        gpu = workload.gpu
        if gpu.mode is not GpuMode.REQUIRE or gpu.image is None:
            names.add(workload.image)
        if gpu.mode is not GpuMode.OFF and gpu.image is not None:
            names.add(gpu.image)
    return {name for name in names if catalogue.get(name).upstream is None}


def known(names: Iterable[str]) -> set[str]:
    """Images by name. Raises `ImageError` for an unknown one."""
    return {catalogue.get(name).name for name in names}
