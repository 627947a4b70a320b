"""AppJob: a program that exits, for example a migration or a nightly report."""

from dataclasses import dataclass

import pulumi

from strata.components.component import WorkloadComponent, shared_fields
from strata.components.connection import Dependencies
from strata.components.gpu_service import check_gpu
from strata.model import Gpu, Job, Tmpfs
from strata.model.argument_types import check_types
from strata.model.workload import NO_GPU, TMP, WorkloadFields
from strata.stack import Stack


@dataclass(frozen=True, kw_only=True)
class AppJobArgs(Dependencies, WorkloadFields):
    """The arguments of an `AppJob`: the fields of `strata.model.workload.WorkloadFields` and
    `Dependencies`, and those below. Only `stack`, `image` and `resources` are required.

    `schedule` (cron, in UTC), `retries` and `timeout_seconds` are those of `strata.model.Job`. A
    service waits for a job without a schedule if its `after` names it.
    """

    stack: Stack
    tmpfs: tuple[Tmpfs, ...] = (TMP,)
    gpu: Gpu = NO_GPU
    schedule: str | None = None
    retries: int = 3
    timeout_seconds: int = 3600


class AppJob(WorkloadComponent):
    """One job: `AppJob("migrate", AppJobArgs(...))`."""

    def __init__(
        self, name: str, args: AppJobArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        path = f"job {name}"
        check_types(path, args)
        problems = [*args.problems(path, args.environment), *check_gpu(path, args.gpu)]
        job = describe(name, args.without(args.stack.composition.excluded))
        super().__init__("AppJob", [job], args.stack, problems, opts)


def describe(name: str, args: AppJobArgs) -> Job:
    """The job of an `AppJob`."""
    return Job(
        **{
            **shared_fields(args, WorkloadFields),
            "environment": {**args.variables, **args.environment},
            "files": (*args.files, *args.files_of(name)),
        },
        name=name,
        links=args.all_links,
        gpu=args.gpu,
        schedule=args.schedule,
        retries=args.retries,
        timeout_seconds=args.timeout_seconds,
    )
