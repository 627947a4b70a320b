"""What the settings of a stack change in a service, without touching its code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from workload.service import Service


@dataclass(frozen=True, kw_only=True)
class Override:
    """Settings of one service; None leaves a field as the component made it."""

    memory_mib: int | None = None
    cpu: float | None = None
    cpu_reserved: float | None = None
    cpu_set: str | None = None
    shared_memory_mib: int | None = None
    replicas: int | None = None


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """All that a stack's settings change."""

    services: Mapping[str, Override] = field(default_factory=dict)
    profiles: frozenset[str] = frozenset()
    secret_owners: frozenset[str] = frozenset()
    """Whose secrets the settings give a generation."""

    def apply(self, service: Service) -> Service:
        """The service as this stack wants it."""
        wanted = self.services.get(service.name)
        if wanted is None:
            return service
        resources = replace(
            service.resources,
            **{
                name: value
                for name in ("memory_mib", "cpu", "cpu_reserved", "cpu_set", "shared_memory_mib")
                if (value := getattr(wanted, name)) is not None
            },
        )
        replicas = service.replicas if wanted.replicas is None else wanted.replicas
        return replace(service, resources=resources, replicas=replicas)

    def includes(self, service: Service) -> bool:
        """Whether the stack has the service at all, by its profiles."""
        return not service.profiles or not self.profiles.isdisjoint(service.profiles)
