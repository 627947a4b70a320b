"""Changes that a stack's settings make to workloads."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from strata.model.network import Port
from strata.model.workload import Resources, Service, Tmpfs, Workload

_Workload = TypeVar("_Workload", bound=Workload)
_RESOURCES = frozenset(each.name for each in fields(Resources))
_OF_SERVICES = frozenset({"replicas", "replicas_maximum"})
READY_WITHIN = "ready_within_seconds"
SIZE_GIB = "size_gib"
TMPFS_MIB = "tmpfs_mib"
BACKUPS = "backups"
"""The volume of continuous backups."""
BACKUP_SUFFIX = "-backup"
"""Ends the name of a service with the continuous backups of a datastore that has several nodes."""
DEBUGGER = Port(name="debugger", number=5678)
"""The default port of debugpy, here of any debugger."""

Changes = Mapping[str, Any]
"""Values by field of `Service` or `Resources`. `environment` is added to the component's;
`volumes` maps the name of a volume to the values of its fields. `enabled` says whether the workload is
part of the stack, whatever its profiles. `managed` is the size of a managed service that replaces a
datastore. `develop` and `debug_port` are for development: see
strata/platforms/docker/development.py. So is `ports`, which maps the name of a port to where it's published.
`backup` is the datastore's own: it, or the service `BACKUP_SUFFIX` beside it, has a volume `BACKUPS` if its
engine has continuous backups.
`READY_WITHIN` is of a service's probe."""


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """The changes of one stack.

    `services`: changes by the name of the service or job. `profiles`: the optional parts of the
    stack. `secret_owners`: the owners whose secrets the settings give a generation. `external_secrets`:
    the names of the secrets that the settings have. `ports`: the
    published ports by their key in `strata:ports`. `development`: whether the platform has the changes
    for development.
    """

    services: Mapping[str, Changes] = field(default_factory=dict)
    profiles: frozenset[str] = frozenset()
    secret_owners: frozenset[str] = frozenset()
    external_secrets: frozenset[str] = frozenset()
    ports: Mapping[str, int] = field(default_factory=dict)
    development: bool = True

    def apply(self, workload: _Workload) -> _Workload:
        """The workload with the changes of this stack."""
        changes = dict(self.services.get(workload.name, {}))
        if not changes:
            return workload
        resources = {name: value for name, value in changes.items() if name in _RESOURCES}
        changed: dict[str, Any] = {"resources": replace(workload.resources, **resources)}
        if "image" in changes:
            changed |= {"image": changes["image"], "gpu": replace(workload.gpu, image=None)}
        if "environment" in changes:
            changed["environment"] = {**workload.environment, **changes["environment"]}
        if isinstance(workload, Service):
            changed |= {name: changes[name] for name in _OF_SERVICES & changes.keys()}
            if READY_WITHIN in changes and workload.probe:
                changed["probe"] = replace(
                    workload.probe, ready_within_seconds=changes[READY_WITHIN]
                )
            volumes = changes.get("volumes", {})
            in_memory = self.in_memory(workload.name)
            changed["volumes"] = tuple(
                replace(
                    volume,
                    **{
                        name: value
                        for name, value in volumes.get(volume.name, {}).items()
                        if name != TMPFS_MIB
                    },
                )
                for volume in workload.volumes
                if volume.name not in in_memory
            )
            changed["tmpfs"] = (
                *workload.tmpfs,
                *(
                    Tmpfs(path=volume.path, size_mib=in_memory[volume.name])
                    for volume in workload.volumes
                    if volume.name in in_memory
                ),
            )
            if self.development:
                changed["ports"] = _ports(workload, changes)
        return replace(workload, **changed)

    def in_memory(self, name: str) -> Mapping[str, int]:
        """The sizes, in MiB, of those volumes of a service that are in memory, by name."""
        volumes = self.services.get(name, {}).get("volumes", {}) if self.development else {}
        return {
            volume: values[TMPFS_MIB] for volume, values in volumes.items() if TMPFS_MIB in values
        }

    def sizes(self, name: str) -> Mapping[str, int]:
        """The sizes, in GiB, that the settings give volumes of a service, by name."""
        volumes = self.services.get(name, {}).get("volumes", {})
        return {
            volume: values[SIZE_GIB] for volume, values in volumes.items() if SIZE_GIB in values
        }

    def managed(self, name: str) -> Mapping[str, Any] | None:
        """The size of the managed service that replaces a datastore; None if nothing does."""
        size: Mapping[str, Any] | None = self.services.get(name, {}).get("managed")
        return size

    def includes(self, workload: Workload) -> bool:
        """Whether the workload is part of the stack."""
        enabled: bool | None = self.services.get(workload.name, {}).get("enabled")
        if enabled is not None:
            return enabled
        return self.enables(workload.profiles)

    def enables(self, profiles: Collection[str]) -> bool:
        """Whether the settings name one of these profiles, or there are none."""
        return not profiles or not self.profiles.isdisjoint(profiles)


def _ports(service: Service, changes: Changes) -> tuple[Port, ...]:
    """The ports of a service in development."""
    published = changes.get("ports", {})
    ports = tuple(
        replace(port, published=published.get(port.name, port.published)) for port in service.ports
    )
    if "debug_port" not in changes:
        return ports
    return (*ports, replace(DEBUGGER, published=changes["debug_port"]))
