"""A job: a process that ends, said without naming a platform."""

from dataclasses import dataclass

from strata.model.service import Workload


@dataclass(frozen=True, kw_only=True)
class Job(Workload):
    """A process that ends: a migration, an import, a report.

    It runs when it is made and whenever it is changed; with a `schedule` (five fields of cron, in
    UTC) it runs then instead, never twice at a time. A run that fails is tried again up to
    `retries` times; one that takes longer than `timeout_seconds` has failed.
    """

    schedule: str | None = None
    retries: int = 3
    timeout_seconds: int = 3600
