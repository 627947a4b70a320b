"""All services and jobs of a stack together, and the mistakes that can only be seen together."""

import re
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

from strata.errors import Problem, raise_problems
from strata.model.job import Job
from strata.model.overrides import Overrides
from strata.model.secrets import AUTHORITY
from strata.model.service import Link, Service, Workload
from strata.model.text import Certificate, Listen, owner, parts

# RFC 1123: a label of a host name, which every service is.
NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
# Names of users are known in an image alone; volumes and tmpfs are owned by numbers.
USER = re.compile(r"\d+(:\d+)?")
# Five fields of cron; what each may be is the platform's to say.
SCHEDULE = re.compile(r"[\dA-Za-z*/,?-]+( [\dA-Za-z*/,?-]+){4}")

_Kind = TypeVar("_Kind", Service, Job)


class Composition:
    """Collects services and jobs, applies the settings of the stack, and checks the whole."""

    def __init__(self, overrides: Overrides) -> None:
        self._overrides = overrides
        self._processes: list[Workload] = []
        self._left_out: set[str] = set()
        self._profiles: set[str] = set()

    def add(self, workload: Workload) -> None:
        """Takes a service or a job in. Raises `InvalidStackError` at once for a name that is taken,
        since an engine that saw a name twice would report that in words of its own."""
        if workload.name in self._left_out or any(
            one.name == workload.name for one in self._processes
        ):
            raise_problems(
                [
                    Problem(
                        workload.path,
                        "is described twice",
                        "give each service and job a name of its own",
                    )
                ]
            )
        self._profiles.update(workload.profiles)
        if self._overrides.includes(workload):
            self._processes.append(self._overrides.apply(workload))
        else:
            self._left_out.add(workload.name)

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Services and jobs in the order in which they can start: servers before clients, jobs
        before the services that wait for them."""
        by_name = {one.name: one for one in self._processes}
        order = TopologicalSorter(
            {
                one.name: [name for name in one.waits_for if name in by_name]
                for one in self._processes
            }
        )
        return tuple(by_name[name] for name in order.static_order())

    @property
    def services(self) -> tuple[Service, ...]:
        """The services in the order in which they can start."""
        return tuple(one for one in self.workloads if isinstance(one, Service))

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The jobs in the order in which they can start."""
        return tuple(one for one in self.workloads if isinstance(one, Job))

    @property
    def links(self) -> tuple[Link, ...]:
        return tuple(
            sorted(
                Link(one.name, endpoint.service, endpoint.number)
                for one in self._processes
                for endpoint in one.links
                # A client of a profile's server works without it when the profile is off.
                if endpoint.service not in self._left_out
            )
        )

    def problems(self) -> Iterator[Problem]:
        names = {one.name for one in self._processes}
        published: dict[int, str] = {}
        for one in self._processes:
            yield from workload_problems(one)
            yield from self._link_problems(one)
        for service in self._described(Service):
            yield from self._after_problems(service)
            for port in service.ports:
                if port.published is None:
                    continue
                other = published.setdefault(port.published, service.name)
                if other != service.name:
                    yield Problem(
                        f"service {service.name}: ports",
                        f"port {port.published} is already published by {other}",
                        "publish it under another number",
                    )
        yield from self._settings_problems()
        for name in self._overrides.services:
            if name not in names and name not in self._left_out:
                yield Problem(
                    f"strata:services.{name}",
                    "the system has no such service",
                    f"use one of: {', '.join(sorted(names))}",
                )
        for job in self._described(Job):
            changed = self._overrides.services.get(job.name)
            if changed is not None and (changed.replicas or changed.replicas_maximum):
                yield Problem(
                    f"strata:services.{job.name}.replicas",
                    "is a job, which runs once at a time",
                    "take the key out",
                )
        yield from self._cycle()

    def _described(self, kind: type[_Kind]) -> Iterator[_Kind]:
        """The services, or the jobs, as they were described: they may make a circle."""
        return (one for one in self._processes if isinstance(one, kind))

    def _settings_problems(self) -> Iterator[Problem]:
        owners = {
            name
            for workload in self._processes
            for _, text in workload.texts
            for part in parts(text)
            if (name := owner(part)) is not None
        }
        if any(
            isinstance(part, Certificate)
            for workload in self._processes
            for _, text in workload.texts
            for part in parts(text)
        ):
            owners.add(AUTHORITY)
        for name in self._overrides.secret_owners - owners:
            if name not in self._left_out:
                yield Problem(
                    f"strata:secretGenerations.{name}",
                    "nothing of the stack has a secret of this name",
                    f"use one of: {', '.join(sorted(owners)) or 'there is none'}",
                )
        for profile in self._overrides.profiles - self._profiles:
            yield Problem(
                "strata:profiles",
                f"the system has no profile {profile}",
                f"use one of: {', '.join(sorted(self._profiles)) or 'there is none'}",
            )

    def _link_problems(self, workload: Workload) -> Iterator[Problem]:
        servers = {one.name: one for one in self._described(Service)}
        for index, endpoint in enumerate(workload.links):
            path = f"{workload.path}: links[{index}]"
            if endpoint.service in self._left_out:
                continue
            server = servers.get(endpoint.service)
            if server is None:
                yield Problem(
                    path,
                    f"there is no service {endpoint.service}",
                    f"link to one of: {', '.join(sorted(servers))}",
                )
            elif endpoint.number not in {port.number for port in server.ports}:
                listed = ", ".join(f"{port.number} ({port.name})" for port in server.ports)
                yield Problem(
                    path,
                    f"{endpoint.service} has no port {endpoint.number}",
                    f"link to one of its ports: {listed or 'it has none'}",
                )

    def _after_problems(self, service: Service) -> Iterator[Problem]:
        jobs = {one.name: one for one in self._described(Job)}
        for index, name in enumerate(service.after):
            path = f"service {service.name}: after[{index}]"
            if name in self._left_out:
                continue
            if name not in jobs:
                yield Problem(
                    path,
                    f"there is no job {name}",
                    f"wait for one of: {', '.join(sorted(jobs)) or 'there is none'}",
                )
            elif jobs[name].schedule is not None:
                yield Problem(
                    path,
                    f"{name} has a schedule, so nobody can wait for it",
                    "take its schedule away, or do not wait for it",
                )

    def _cycle(self) -> Iterator[Problem]:
        try:
            _ = self.workloads
        except CycleError as error:
            # graphlib gives the cycle with its first node again at the end, servers first.
            path = " -> ".join(reversed(error.args[1]))
            yield Problem(
                "links",
                f"nothing of this circle could start first: {path}",
                "take one of these links away, or put a queue between",
            )


def workload_problems(workload: Workload) -> Iterator[Problem]:
    """What is wrong with a service or a job on its own."""
    path = workload.path
    if NAME.fullmatch(workload.name) is None:
        yield Problem(
            path,
            "is no host name",
            "use at most 40 of a-z, 0-9 and '-', beginning with a letter, not ending with '-'",
        )
    if USER.fullmatch(workload.user) is None:
        yield Problem(
            f"{path}: user",
            f"{workload.user!r} is no number",
            "give the number of the user, and after a ':' that of the group, such as 10001:10001",
        )
    yield from _resource_problems(path, workload)
    known = {port.name for port in workload.ports}
    for field, text in workload.texts:
        for part in parts(text):
            if isinstance(part, Listen) and part.port not in known:
                yield Problem(
                    f"{path}: {field}",
                    f"there is no port named {part.port}",
                    f"use one of: {', '.join(sorted(known)) or 'there is none'}",
                )
    for kind, keys in (
        ("ports", [port.name for port in workload.ports]),
        ("volumes", [volume.name for volume in workload.volumes]),
        ("files", [file.path for file in workload.files]),
    ):
        for key, count in Counter(keys).items():
            if count > 1:
                yield Problem(f"{path}: {kind}", f"{key} is there {count} times", "keep one")
    if isinstance(workload, Service):
        yield from _service_problems(path, workload)
    if isinstance(workload, Job):
        yield from _job_problems(path, workload)


def _resource_problems(path: str, workload: Workload) -> Iterator[Problem]:
    resources = workload.resources
    if resources.memory_mib < workload.memory_mib_minimum:
        yield Problem(
            f"{path}: memory_mib",
            f"{resources.memory_mib} MiB is less than it works with",
            f"give it at least {workload.memory_mib_minimum} MiB",
        )
    if resources.cpu <= 0:
        yield Problem(f"{path}: cpu", f"{resources.cpu} is not above 0", "give it a share")
    if resources.cpu_budget > resources.cpu:
        yield Problem(
            f"{path}: cpu_reserved",
            f"{resources.cpu_budget:g} is more than the limit of {resources.cpu:g}",
            "reserve at most the limit",
        )
    if resources.shared_memory_mib > resources.memory_mib:
        yield Problem(
            f"{path}: shared_memory_mib",
            f"{resources.shared_memory_mib} MiB lie within the {resources.memory_mib} MiB of the"
            " service, and do not fit",
            "raise memory_mib or lower shared_memory_mib",
        )


def _service_problems(path: str, service: Service) -> Iterator[Problem]:
    if service.replicas < 1:
        yield Problem(f"{path}: replicas", f"{service.replicas} is less than 1", "use 1 or more")
    most = service.replicas_maximum or service.replicas
    if most < service.replicas:
        yield Problem(
            f"{path}: replicas_maximum",
            f"{most} is less than the {service.replicas} replicas that there always are",
            "raise it, or lower replicas",
        )
    if most > 1 and any(not volume.cache for volume in service.volumes):
        yield Problem(
            f"{path}: replicas",
            "each replica would have a volume, and so data, of its own",
            "use one replica, or keep the state in a Datastore",
        )
    for volume in service.volumes:
        if volume.size_gib < 1:
            yield Problem(
                f"{path}: volumes.{volume.name}.size_gib",
                f"{volume.size_gib} is less than 1",
                "use 1 or more",
            )


def _job_problems(path: str, job: Job) -> Iterator[Problem]:
    if job.schedule is not None and SCHEDULE.fullmatch(job.schedule) is None:
        yield Problem(
            f"{path}: schedule",
            f"{job.schedule!r} is no schedule of cron",
            "give minute, hour, day of the month, month and day of the week: '0 3 * * *'",
        )
    if job.retries < 0:
        yield Problem(f"{path}: retries", f"{job.retries} is less than 0", "use 0 or more")
    if job.timeout_seconds < 1:
        yield Problem(
            f"{path}: timeout_seconds", f"{job.timeout_seconds} is less than 1", "use 1 or more"
        )
