"""All workloads of a stack together."""

from collections.abc import Collection, Iterable, Iterator, Set
from copy import copy
from graphlib import CycleError, TopologicalSorter
from itertools import combinations

from strata.errors import Problem
from strata.model.checks import name_problems, workload_problems
from strata.model.external import ExternalServer
from strata.model.network import Endpoint, Link
from strata.model.overrides import BACKUP_SUFFIX, BACKUPS, READY_WITHIN, Overrides
from strata.model.secrets import AUTHORITY, Secret
from strata.model.text import ExternalSecret, parts, secrets_of
from strata.model.workload import Job, Service, Workload

NAME_TAKEN_FIX = "give each service, job and external service a name that no other has"


class Composition:
    """Collects workloads, applies the stack's settings to them and checks them together."""

    def __init__(self, overrides: Overrides | None = None) -> None:
        self.overrides = overrides or Overrides()
        self._workloads: dict[str, Workload] = {}
        self._volumes: dict[str, frozenset[str]] = {}
        self._excluded: set[str] = set()
        self._external_secrets: set[str] = set()
        self._profiles: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether a workload of this name was added, even if it's left out."""
        return name in self._workloads or name in self._excluded

    def add(self, workload: Workload, main: str | None = None) -> None:
        """Adds a workload, whose name must be new. It's left out with `main`, the workload that it is a
        part of."""
        self._profiles.update(workload.profiles)
        # Also of workloads that are left out: a profile may add them again.
        self._external_secrets.update(name for _, name in _external_secrets(workload))
        if main not in self._excluded and self.overrides.includes(workload):
            self._workloads[workload.name] = self.overrides.apply(workload)
            self._volumes[workload.name] = frozenset(each.name for each in workload.volumes)
        else:
            self._excluded.add(workload.name)

    def has_profile(self, profile: str) -> bool:
        """Whether the stack's settings enable a profile, for a system that differs by more than whole
        workloads."""
        self._profiles.add(profile)
        return profile in self.overrides.profiles

    @property
    def excluded(self) -> Set[str]:
        """The names of the workloads that profiles or settings leave out."""
        return self._excluded

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads in start order: servers before clients, jobs before the services that wait
        for them. If there is a cycle, the order in which they were added."""
        try:
            order = tuple(self._order().static_order())
        except CycleError:
            order = tuple(self._workloads)
        return tuple(self._workloads[name] for name in order)

    @property
    def services(self) -> tuple[Service, ...]:
        """The services in start order."""
        return tuple(each for each in self.workloads if isinstance(each, Service))

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs in start order."""
        return tuple(each for each in self.workloads if isinstance(each, Job))

    @property
    def links(self) -> tuple[Link, ...]:
        """All links between workloads of the stack, including those between peers."""
        links = {
            Link(client.name, server.service, server.number, server.last, server.protocol)
            for client in self._workloads.values()
            for server in client.links
            if self._serves(server)
        }
        peers = {
            Link(workload.name, workload.name, port.number, port.last, port.protocol)
            for workload in self._workloads.values()
            for port in workload.ports
            if port.peers
        }
        return _sorted(links | peers)

    @property
    def external_servers(self) -> tuple[ExternalServer, ...]:
        """The servers outside of the stack that workloads link to."""
        return tuple(
            dict.fromkeys(
                server
                for workload in self._workloads.values()
                for server in workload.external_servers
            )
        )

    @property
    def all_links(self) -> tuple[Link, ...]:
        """All links, including those to servers outside of the stack."""
        external = {
            Link(client.name, server.name, server.port)
            for client in self._workloads.values()
            for server in client.external_servers
        }
        return _sorted({*self.links, *external})

    @property
    def secrets(self) -> frozenset[Secret]:
        """Every derived value that a workload of the stack uses."""
        return frozenset(
            secret
            for workload in self._workloads.values()
            for _, text in workload.texts
            for secret in secrets_of(text)
        )

    def with_services(self, services: Iterable[Service]) -> "Composition":
        """The same with further services, to which the settings don't apply."""
        further = {each.name: each for each in services}
        if not further:
            return self
        extended = copy(self)
        extended._workloads = {**self._workloads, **further}
        return extended

    def problems(self) -> Iterator[Problem]:
        """The errors of each workload, and of all together."""
        for workload in self._workloads.values():
            yield from workload_problems(workload)
            yield from self._link_problems(workload)
            yield from self._external_secret_problems(workload)
            yield from self._after_problems(workload)
        yield from self._external_problems()
        yield from self._published_problems()
        yield from self._settings_problems()
        yield from self._memory_problems()
        yield from self._cycle_problems()

    def _order(self) -> TopologicalSorter[str]:
        return TopologicalSorter(
            {
                workload.name: [name for name in workload.waits_for if name in self._workloads]
                for workload in self._workloads.values()
            }
        )

    def _serves(self, endpoint: Endpoint) -> bool:
        server = self._workloads.get(endpoint.service)
        return server is not None and any(
            (port.number, port.last, port.protocol)
            == (endpoint.number, endpoint.last, endpoint.protocol)
            for port in server.ports
        )

    def _link_problems(self, workload: Workload) -> Iterator[Problem]:
        for index, endpoint in enumerate(workload.links):
            # A client works without a server that is left out.
            if endpoint.external or endpoint.service in self._excluded or self._serves(endpoint):
                continue
            path = f"{workload.path}: links[{index}]"
            server = self._workloads.get(endpoint.service)
            if server is None or not isinstance(server, Service):
                known = sorted(service.name for service in self.services)
                yield Problem(
                    path,
                    f"there is no service {endpoint.service}",
                    f"link to one of: {', '.join(known)}",
                )
            else:
                listed = ", ".join(f"{port.label} ({port.name})" for port in server.ports)
                yield Problem(
                    path,
                    f"{endpoint.service} has no port {endpoint.label}",
                    f"link to one of its ports: {listed}"
                    if listed
                    else "declare a port, or remove the link",
                )

    def _external_problems(self) -> Iterator[Problem]:
        names: dict[str, ExternalServer] = {}
        for server in self.external_servers:
            yield from name_problems(server.path, server.name)
            yield from server.problems()
            if server.name in self or names.setdefault(server.name, server) != server:
                yield Problem(server.path, "this name is used twice", NAME_TAKEN_FIX)
            if server.client_host in self:
                yield Problem(
                    f"{server.path}: host",
                    f"{server.host} is the name of a service of the stack",
                    "use the fully qualified name of the host",
                )
        # In a client, a host name has one address.
        yield from dict.fromkeys(
            Problem(
                f"{server.path}: host",
                f"{server.host} is also the host of {other.name}, and a host has one address",
                "use another name of the host",
            )
            for client in self._workloads.values()
            for other, server in combinations(client.external_servers, 2)
            if other.client_host == server.client_host and other.name != server.name
        )

    def _external_secret_problems(self, workload: Workload) -> Iterator[Problem]:
        known = self.overrides.external_secrets
        for field, name in _external_secrets(workload):
            if name not in known:
                yield Problem(
                    f"{workload.path}: {field}",
                    f"the settings have no secret {name}",
                    f"set it: pulumi config set --secret --path strata:secrets.{name}",
                )

    def _after_problems(self, workload: Workload) -> Iterator[Problem]:
        for index, name in enumerate(workload.after):
            path = f"{workload.path}: after[{index}]"
            if name in self._excluded:
                continue
            first = self._workloads.get(name)
            if first is None:
                others = sorted(self._workloads.keys() - {workload.name})
                yield Problem(
                    path,
                    f"there is no job or service {name}",
                    f"use one of: {', '.join(others)}" if others else "remove it, or add the job",
                )
            elif isinstance(first, Job) and first.schedule is not None:
                yield Problem(
                    path,
                    f"{name} runs on a schedule, so nothing can wait for it",
                    "remove its schedule, or remove it from `after`",
                )

    def _published_problems(self) -> Iterator[Problem]:
        published: dict[tuple[int, str], str] = {}
        for service in self.services:
            for port in service.ports:
                if port.published is None:
                    continue
                key = (port.published, port.protocol)
                if key in published:
                    keys = [
                        f"strata:ports.{name}"
                        for name, number in self.overrides.ports.items()
                        if number == port.published
                    ]
                    yield Problem(
                        ", ".join(keys) if len(keys) > 1 else f"{service.path}: ports",
                        f"port {port.published} is already published by {published[key]}",
                        "publish it on another port",
                    )
                published[key] = service.name

    def _settings_problems(self) -> Iterator[Problem]:
        secrets = self.secrets
        owners = {secret.owner for secret in secrets}
        if any(secret.is_issued for secret in secrets):
            owners.add(AUTHORITY)
        for name in self.overrides.secret_owners - owners - self._excluded:
            yield Problem(
                f"strata:secretGenerations.{name}",
                "no secret in the stack has this owner",
                _choose(owners),
            )
        for name in sorted(self.overrides.external_secrets - self._external_secrets):
            yield Problem(
                f"strata:secrets.{name}",
                "nothing in the system uses it",
                _choose(self._external_secrets),
            )
        for profile in self.overrides.profiles - self._profiles:
            yield Problem(
                "strata:profiles", f"the system has no profile {profile}", _choose(self._profiles)
            )
        for name, changes in self.overrides.services.items():
            if name in self._excluded:
                continue
            path = f"strata:services.{name}"
            workload = self._workloads.get(name)
            if workload is None:
                yield Problem(path, "the system has no such service", _choose(self._workloads))
                continue
            if isinstance(workload, Job) and changes.keys() & {"replicas", "replicas_maximum"}:
                yield Problem(f"{path}.replicas", "a job runs once at a time", "remove the key")
            if isinstance(workload, Job) and READY_WITHIN in changes:
                key = f"{path}.readyWithinSeconds"
                yield Problem(key, "a job has no health check", "remove the key")
            for change, key in (("develop", "develop"), ("debug_port", "debugPort")):
                if isinstance(workload, Job) and changes.get(change):
                    yield Problem(f"{path}.{key}", "a job runs once, and ends", "remove the key")
            if changes.get("managed") is not None and workload.managed is None:
                message = "there is no managed service that can replace it"
                yield Problem(f"{path}.managed", message, "remove the key")
            ports = {port.name for port in workload.ports}
            for port in changes.get("ports", {}).keys() - ports:
                yield Problem(f"{path}.ports.{port}", f"{name} has no such port", _choose(ports))
            volumes = self._volumes[name]
            if "backup" in changes and not self._has_backups(name):
                yield Problem(
                    f"{path}.backup",
                    f"{name} has no continuous backups",
                    "remove the key, and use `strata backup` (on Docker)",
                )
            for volume in changes.get("volumes", {}).keys() - volumes:
                yield Problem(
                    f"{path}.volumes.{volume}", f"{name} has no such volume", _choose(volumes)
                )

    def _has_backups(self, name: str) -> bool:
        """Whether the setting `backup` of a workload has an effect."""
        server = name.removesuffix(BACKUP_SUFFIX)
        if server != name and server in self._volumes and BACKUPS not in self._volumes[server]:
            # It is the service beside that datastore, which has the setting.
            return False
        return any(
            BACKUPS in self._volumes.get(each, ()) for each in (name, f"{name}{BACKUP_SUFFIX}")
        )

    def _memory_problems(self) -> Iterator[Problem]:
        """Volumes in memory that leave too little of it to the service."""
        for workload in self._workloads.values():
            in_memory = self.overrides.in_memory(workload.name)
            limit, needed = workload.resources.memory_mib, workload.memory_mib_minimum
            size = sum(in_memory.values())
            if in_memory and limit - size < needed:
                yield Problem(
                    ", ".join(
                        f"strata:services.{workload.name}.volumes.{volume}.tmpfsMib"
                        for volume in in_memory
                    ),
                    f"{size} MiB and the {needed} MiB that it needs don't fit in its memory of"
                    f" {limit} MiB",
                    f"set strata:services.{workload.name}.memoryMib to at least {size + needed}",
                )

    def _cycle_problems(self) -> Iterator[Problem]:
        try:
            self._order().prepare()
        except CycleError as error:
            # graphlib repeats the first node at the end, and lists servers first.
            path = " -> ".join(reversed(error.args[1]))
            yield Problem(
                "links",
                f"these workloads wait for each other, so none can start: {path}",
                "add `without_waiting()` to one of these links, or put a queue between them",
            )


def _external_secrets(workload: Workload) -> Iterator[tuple[str, str]]:
    """The fields that contain secrets of the settings, and the names of these."""
    for field, text in workload.texts:
        for part in parts(text):
            if isinstance(part, ExternalSecret):
                yield field, part.name


def _sorted(links: Collection[Link]) -> tuple[Link, ...]:
    return tuple(
        sorted(links, key=lambda link: (link.client, link.server, link.port, link.protocol))
    )


def _choose(known: Collection[str]) -> str:
    return f"use one of: {', '.join(sorted(known))}" if known else "remove the key"
