"""All services of a stack together, and the mistakes that can only be seen together."""

import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from workload.mistakes import Mistake, refuse
from workload.overrides import Overrides
from workload.secrets import AUTHORITY
from workload.service import Link, Service
from workload.text import Certificate, Listen, Text, listens, owner, parts

# RFC 1123: a label of a host name, which every service is.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
# Names of users are known in an image alone; volumes and tmpfs are owned by numbers.
USER = re.compile(r"\d+(:\d+)?")


class Composition:
    """Collects services, applies the settings of the stack, and checks the whole."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._services: list[Service] = []
        self._left_out: set[str] = set()
        self._profiles: set[str] = set()

    def add(self, service: Service) -> None:
        """Takes a service in. Raises `MistakesError` at once for a name that is taken, since an
        engine that saw a name twice would report that in words of its own."""
        if service.name in self._left_out or any(
            one.name == service.name for one in self._services
        ):
            refuse(
                [
                    Mistake(
                        f"service {service.name}",
                        "is described twice",
                        "give each service a name of its own",
                    )
                ]
            )
        self._profiles.update(service.profiles)
        if self._overrides.includes(service):
            self._services.append(self._overrides.apply(service))
        else:
            self._left_out.add(service.name)

    @property
    def services(self) -> tuple[Service, ...]:
        """The services in the order in which they can start: servers before clients."""
        by_name = {service.name: service for service in self._services}
        order = TopologicalSorter(
            {
                service.name: [link.service for link in service.links if link.service in by_name]
                for service in self._services
            }
        )
        return tuple(by_name[name] for name in order.static_order())

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(
            sorted(
                Link(service.name, endpoint.service, endpoint.number)
                for service in self._services
                for endpoint in service.links
                # A client of a profile's server works without it when the profile is off.
                if endpoint.service not in self._left_out
            )
        )

    def mistakes(self) -> Iterator[Mistake]:
        names = {service.name for service in self._services}
        published: dict[int, str] = {}
        for service in self._services:
            yield from mistakes_of(service)
            yield from self._link_mistakes(service)
            for port in service.ports:
                if port.published is None:
                    continue
                other = published.setdefault(port.published, service.name)
                if other != service.name:
                    yield Mistake(
                        f"service {service.name}: ports",
                        f"port {port.published} of the host is already taken by {other}",
                        "publish it under another number",
                    )
        yield from self._settings_mistakes()
        for name in self._overrides.services:
            if name not in names and name not in self._left_out:
                yield Mistake(
                    f"strata:services.{name}",
                    "the system has no such service",
                    f"use one of: {', '.join(sorted(names))}",
                )
        yield from self._cycle()

    def _settings_mistakes(self) -> Iterator[Mistake]:
        owners = {
            name
            for service in self._services
            for _, text in _texts(service)
            for part in parts(text)
            if (name := owner(part)) is not None
        }
        if any(
            isinstance(part, Certificate)
            for service in self._services
            for _, text in _texts(service)
            for part in parts(text)
        ):
            owners.add(AUTHORITY)
        for name in self._overrides.secret_owners - owners:
            if name not in self._left_out:
                yield Mistake(
                    f"strata:secretGenerations.{name}",
                    "nothing of the stack has a secret of this name",
                    f"use one of: {', '.join(sorted(owners)) or 'there is none'}",
                )
        for profile in self._overrides.profiles - self._profiles:
            yield Mistake(
                "strata:profiles",
                f"the system has no profile {profile}",
                f"use one of: {', '.join(sorted(self._profiles)) or 'there is none'}",
            )

    def _link_mistakes(self, service: Service) -> Iterator[Mistake]:
        servers = {one.name: one for one in self._services}
        for index, endpoint in enumerate(service.links):
            path = f"service {service.name}: links[{index}]"
            if endpoint.service in self._left_out:
                continue
            server = servers.get(endpoint.service)
            if server is None:
                yield Mistake(
                    path,
                    f"there is no service {endpoint.service}",
                    f"link to one of: {', '.join(sorted(servers))}",
                )
            elif endpoint.number not in {port.number for port in server.ports}:
                listed = ", ".join(f"{port.number} ({port.name})" for port in server.ports)
                yield Mistake(
                    path,
                    f"{endpoint.service} has no port {endpoint.number}",
                    f"link to one of its ports: {listed or 'it has none'}",
                )

    def _cycle(self) -> Iterator[Mistake]:
        try:
            _ = self.services
        except CycleError as error:
            # graphlib gives the cycle with its first node again at the end, servers first.
            path = " -> ".join(reversed(error.args[1]))
            yield Mistake(
                "links",
                f"nothing of this circle could start first: {path}",
                "take one of these links away, or put a queue between",
            )


def _texts(service: Service) -> Iterator[tuple[str, Text]]:
    yield from ((f"command[{index}]", text) for index, text in enumerate(service.command))
    yield from ((f"environment.{name}", text) for name, text in service.environment.items())
    yield from ((f"files.{file.path}", file.content) for file in service.files)


def mistakes_of(service: Service) -> Iterator[Mistake]:
    """What is wrong with a service on its own."""
    path = f"service {service.name}"
    if NAME.fullmatch(service.name) is None:
        yield Mistake(
            path,
            "is no host name",
            "use at most 40 of a-z, 0-9 and '-', beginning with a letter, not ending with '-'",
        )
    if USER.fullmatch(service.user) is None:
        yield Mistake(
            f"{path}: user",
            f"{service.user!r} is no number",
            "give the number of the user, and after a ':' that of the group, such as 10001:10001",
        )
    if service.replicas < 1:
        yield Mistake(f"{path}: replicas", f"{service.replicas} is less than 1", "use 1 or more")
    if service.replicas > 1 and any(port.published for port in service.ports):
        yield Mistake(
            f"{path}: replicas",
            "a port of the host leads to one replica only",
            "use one replica, or put a Gateway before it",
        )
    if service.replicas > 1 and any(listens(file.content) for file in service.files):
        yield Mistake(
            f"{path}: files",
            "replicas share their files, and each listens on an address of its own",
            "use one replica, or pass the addresses in the environment or the command",
        )
    if service.replicas > 1 and service.volumes:
        yield Mistake(
            f"{path}: replicas",
            "replicas would write to one volume",
            "use one replica, or keep the state in a Datastore",
        )
    resources = service.resources
    if resources.memory_mib < service.memory_mib_minimum:
        yield Mistake(
            f"{path}: memory_mib",
            f"{resources.memory_mib} MiB is less than it works with",
            f"give it at least {service.memory_mib_minimum} MiB",
        )
    if resources.cpu <= 0:
        yield Mistake(f"{path}: cpu", f"{resources.cpu} is not above 0", "give it a share")
    if resources.cpu_budget > resources.cpu:
        yield Mistake(
            f"{path}: cpu_reserved",
            f"{resources.cpu_budget:g} is more than the limit of {resources.cpu:g}",
            "reserve at most the limit",
        )
    if resources.shared_memory_mib > resources.memory_mib:
        yield Mistake(
            f"{path}: shared_memory_mib",
            f"{resources.shared_memory_mib} MiB lie within the {resources.memory_mib} MiB of the"
            " service, and do not fit",
            "raise memory_mib or lower shared_memory_mib",
        )
    known = {port.name for port in service.ports}
    for field, text in _texts(service):
        for part in parts(text):
            if isinstance(part, Listen) and part.port not in known:
                yield Mistake(
                    f"{path}: {field}",
                    f"there is no port named {part.port}",
                    f"use one of: {', '.join(sorted(known))}",
                )
    for kind, keys in (
        ("ports", [port.name for port in service.ports]),
        ("volumes", [volume.name for volume in service.volumes]),
        ("files", [file.path for file in service.files]),
    ):
        for key, count in Counter(keys).items():
            if count > 1:
                yield Mistake(f"{path}: {kind}", f"{key} is there {count} times", "keep one")
