"""A job: a workload that exits."""

from dataclasses import dataclass

from strata.model.workload import Workload


@dataclass(frozen=True, kw_only=True)
class Job(Workload):
    """A migration, an import, a report.

    It runs when it is created and whenever it changes; with a `schedule` (five cron fields, in
    UTC) it runs on that instead, never twice at a time. A failed run is retried up to `retries`
    times; a run that takes longer than `timeout_seconds` has failed.
    """

    schedule: str | None = None
    retries: int = 3
    timeout_seconds: int = 3600
