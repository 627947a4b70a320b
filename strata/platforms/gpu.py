"""Which workloads run on GPUs. What a GPU is, and which ones are left, each platform knows itself."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from strata.model import GpuMode, Problem, Workload

T = TypeVar("T")


class UnavailableError(Exception):
    """Why a workload can't have the GPUs that it requests."""


@dataclass(frozen=True, kw_only=True)
class GpuDecision(Generic[T]):
    """`granted`: what each workload that runs on GPUs gets. `cpu_fallbacks`: why those that prefer
    GPUs have none."""

    granted: Mapping[str, T]
    cpu_fallbacks: Mapping[str, str]
    problems: tuple[Problem, ...]


def assign(
    workloads: Iterable[Workload],
    order: Callable[[Workload], Any],
    grant: Callable[[Workload], T],
    fix: str,
) -> GpuDecision[T]:
    """Assigns GPUs to the workloads that request them, in an order. `grant` raises
    `UnavailableError`; `fix`: what to do if a workload requires the GPUs."""
    granted: dict[str, T] = {}
    cpu_fallbacks: dict[str, str] = {}
    problems: list[Problem] = []
    requesting = [workload for workload in workloads if workload.gpu.mode is not GpuMode.OFF]
    for workload in sorted(requesting, key=order):
        try:
            granted[workload.name] = grant(workload)
        except UnavailableError as error:
            if workload.gpu.mode is GpuMode.PREFER:
                cpu_fallbacks[workload.name] = str(error)
            else:
                message = f"a GPU is required, but {error}"
                problems.append(Problem(f"{workload.path}: gpu", message, fix))
    return GpuDecision(granted=granted, cpu_fallbacks=cpu_fallbacks, problems=tuple(problems))
