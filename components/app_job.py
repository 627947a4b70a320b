"""AppJob: a process of the user's own that ends: a migration, an import, a nightly report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from strata.components.app_service import DEFAULT_TMPFS, DEFAULT_USER
from strata.components.component import JobComponent
from strata.components.connection import Connection, clashes, reach
from strata.components.gpu_service import check_gpu
from strata.model import Endpoint, File, Gpu, Job, Resources, Text, Tmpfs, Zone
from strata.platforms.platform import Platform

NO_GPU = Gpu()


@dataclass(frozen=True, kw_only=True)
class AppJobArgs:
    """What a job needs. `platform`, `image`, `command` and `resources` have no default.

    `connections`, `calls` and `egress` are those of `AppServiceArgs`; `schedule` (cron, in UTC),
    `retries` and `timeout_seconds` those of `strata.model.Job`. A service waits for a job that has no
    schedule by its `after`.
    """

    platform: Platform
    image: str
    command: tuple[Text, ...]
    resources: Resources
    zone: Zone = Zone.BACKEND
    environment: Mapping[str, Text] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    calls: Mapping[str, Endpoint] = field(default_factory=dict)
    egress: bool = False
    files: tuple[File, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = DEFAULT_TMPFS
    gpu: Gpu = NO_GPU
    profiles: tuple[str, ...] = ()
    user: str = DEFAULT_USER
    schedule: str | None = None
    retries: int = 3
    timeout_seconds: int = 3600


class AppJob(JobComponent):
    """One job: `AppJob("migrate", AppJobArgs(...))`."""

    def __init__(
        self, name: str, args: AppJobArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        problems = [
            *clashes(f"job {name}", args.connections, args.environment),
            *check_gpu(f"job {name}", args.gpu),
        ]
        super().__init__("AppJob", describe(name, args), args.platform, problems, opts)


def describe(name: str, args: AppJobArgs) -> Job:
    """The plain data of a job."""
    reached = reach(args.connections, args.calls)
    return Job(
        name=name,
        image=args.image,
        zone=args.zone,
        resources=args.resources,
        user=args.user,
        command=args.command,
        environment={**reached.environment, **args.environment},
        links=reached.links,
        egress=args.egress,
        files=(*args.files, *reached.files),
        tmpfs=args.tmpfs,
        gpu=args.gpu,
        profiles=args.profiles,
        schedule=args.schedule,
        retries=args.retries,
        timeout_seconds=args.timeout_seconds,
    )
