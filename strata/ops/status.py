"""What runs of a stack, and how it is, as `strata status` shows it on every platform."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from strata import console

METRICS, LOGS = "prometheus", "victoria-logs"
"""The services of the observability stack that serve dashboards and logs on Docker."""
DASHBOARDS_PATH, LOGS_PATH = "/user/vmui/#/dashboards", "/select/vmui"
PASSWORD_FILE = "/run/secrets/password"  # noqa: S105 - a path
USER = "strata"
INTERVAL_SECONDS = 2.0
"""Between two frames of `--watch`."""


@dataclass(frozen=True, kw_only=True)
class ContainerStatus:
    """`state`: healthy, unhealthy, starting, running (without a health check), succeeded, scheduled,
    missing (it should exist, and doesn't), on a cluster pending (it has no node) or terminating, or
    Docker's own word. `reason`: why it isn't healthy, if the platform reports it. `image`: its tag or
    digest, or the start of its id if it has none any more. `memory_mib` and `cores` are None without
    metrics. `gpus`: how many it has; -1 is all of the host."""

    name: str
    service: str
    state: str
    restarts: int
    image: str
    memory_mib: float | None
    memory_limit_mib: float
    cores: float | None
    cores_limit: float
    gpus: int
    urls: tuple[str, ...]
    reason: str = ""

    @property
    def is_healthy(self) -> bool:
        return self.state in ("healthy", "running", "succeeded", "scheduled")


@dataclass(frozen=True, kw_only=True)
class Alert:
    name: str
    severity: str
    service: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """`alerts_problem`: why the alerts are unknown; empty if they are known. `disk_free`: the share of
    the fullest disk that is free. `last_backup`: UTC, ISO 8601. `dashboards` and `logs` are pages;
    `login`: how to log in to them."""

    stack: str
    containers: tuple[ContainerStatus, ...]
    alerts_problem: str
    alerts: tuple[Alert, ...]
    disk_free: float | None
    last_backup: str | None
    dashboards: str | None
    logs: str | None
    login: str | None

    @property
    def is_healthy(self) -> bool:
        """Whether every container does what it should."""
        return all(each.is_healthy for each in self.containers)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "healthy": self.is_healthy}


def absent(service: str, state: str = "missing", reason: str = "") -> ContainerStatus:
    """A service or job without a container."""
    return ContainerStatus(
        name=service,
        service=service,
        state=state,
        restarts=0,
        image="",
        memory_mib=None,
        memory_limit_mib=0,
        cores=None,
        cores_limit=0,
        gpus=0,
        urls=(),
        reason=reason,
    )


def short_image(name: str) -> str:
    """The name of an image, with the start of its digest."""
    return re.sub(r"(@sha256:\w{12})\w+", r"\1", name)


def frames(read: Callable[[], Status]) -> Iterator[Status]:
    """The state every `INTERVAL_SECONDS`, without end."""
    while True:
        yield read()
        time.sleep(INTERVAL_SECONDS)


def lines(found: Status) -> Iterator[str]:
    """For a person."""
    healthy = sum(each.is_healthy for each in found.containers)
    yield f"{found.stack}: {healthy} of {len(found.containers)} containers are healthy"
    yield ""
    rows = [("CONTAINER", "STATE", "RESTARTS", "MEMORY, MIB", "CORES", "GPUS", "IMAGE", "URL")]
    for each in found.containers:
        memory = "-" if each.memory_mib is None else f"{each.memory_mib:.0f}"
        cores = "-" if each.cores is None else f"{each.cores:.2f}"
        rows.append(
            (
                each.name,
                each.state,
                str(each.restarts),
                f"{memory} of {each.memory_limit_mib:.0f}",
                f"{cores} of {each.cores_limit:g}",
                {0: "-", -1: "all"}.get(each.gpus, str(each.gpus)),
                each.image,
                " ".join(each.urls),
            )
        )
    yield from console.table(rows)
    yield ""
    reasons = [f"{each.name}: {each.reason}" for each in found.containers if each.reason]
    if reasons:
        yield from (*reasons, "")
    yield from _observed(found)


def _observed(found: Status) -> Iterator[str]:
    if found.alerts_problem:
        yield f"Alerts:      unknown: {found.alerts_problem}"
    elif not found.alerts:
        yield "Alerts:      none"
    for each in found.alerts:
        where = f" of {each.service}" if each.service else ""
        yield (
            f"Alerts:      {each.severity}: {each.name}{where}"
            f" (docs/runbooks.md#{each.name.lower()})"
        )
    if found.disk_free is not None:
        yield f"Disk:        {found.disk_free:.0%} free"
    if not found.alerts_problem:
        yield f"Last backup: {found.last_backup or 'none'}"
    for title, page in (("Dashboards:", found.dashboards), ("Logs:", found.logs)):
        if page:
            yield f"{title:<12} {page}"
    if found.login:
        yield f"             {found.login}"
