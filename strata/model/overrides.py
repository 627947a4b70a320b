"""What the settings of a stack change in a service or a job, without touching its code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from strata.model.service import Service, Workload

_Kind = TypeVar("_Kind", bound=Workload)


@dataclass(frozen=True, kw_only=True)
class Override:
    """Settings of one service or job; None leaves a field as the component made it."""

    memory_mib: int | None = None
    cpu: float | None = None
    cpu_reserved: float | None = None
    cpu_set: str | None = None
    shared_memory_mib: int | None = None
    replicas: int | None = None
    replicas_maximum: int | None = None


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """All that a stack's settings change."""

    services: Mapping[str, Override] = field(default_factory=dict)
    profiles: frozenset[str] = frozenset()
    secret_owners: frozenset[str] = frozenset()
    """Whose secrets the settings give a generation."""

    def apply(self, workload: _Kind) -> _Kind:
        """The service or job as this stack wants it."""
        wanted = self.services.get(workload.name)
        if wanted is None:
            return workload
        resources = replace(workload.resources, **_given(wanted, _RESOURCES))
        if isinstance(workload, Service):
            return replace(workload, resources=resources, **_given(wanted, _REPLICAS))
        return replace(workload, resources=resources)

    def includes(self, workload: Workload) -> bool:
        """Whether the stack has it at all, by its profiles."""
        return not workload.profiles or not self.profiles.isdisjoint(workload.profiles)


_RESOURCES = ("memory_mib", "cpu", "cpu_reserved", "cpu_set", "shared_memory_mib")
_REPLICAS = ("replicas", "replicas_maximum")


def _given(wanted: Override, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(wanted, name)) is not None}
