"""What the containers of a stack on Docker use now, as Docker measures it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from strata.ops.docker.containers import Containers
from strata.ops.top import INTERVAL_SECONDS, Usage

THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What Docker measured of a container. `time` and `cpu` are in seconds; `cpu` is the processor time
    since the container's start."""

    time: float
    cpu: float
    memory_mib: float
    processes: int


class Meter:
    """Measures running containers. Each measurement covers the time since the one before."""

    def __init__(self, containers: Containers, services: Sequence[str] = ()) -> None:
        """Measures a first time. Raises `InvalidStackError` if there is nothing of the stack, or no such
        service."""
        self._containers = containers
        self._services = services
        self._samples: dict[str, Sample] = {}
        self.measure()

    def frames(self) -> Iterator[list[Usage]]:
        """A measurement every `INTERVAL_SECONDS`, without end."""
        while True:
            time.sleep(INTERVAL_SECONDS)
            yield self.measure()

    def measure(self) -> list[Usage]:
        """The usage by container, by name."""
        listed = self._containers.of(self._services)
        running = sorted(
            (each for each in listed if each["State"] == "running"), key=self._containers.short_name
        )
        with ThreadPoolExecutor(THREADS) as threads:
            return [each for each in threads.map(self._usage, running) if each]

    def _usage(self, listed: dict[str, Any]) -> Usage | None:
        """None if the container doesn't run any more."""
        from docker.errors import NotFound

        api, container = self._containers.client.api, listed["Id"]
        try:
            limits = api.inspect_container(container)["HostConfig"]
            now = sample(api.stats(container, stream=False, one_shot=True))
        except NotFound:
            return None
        if now is None:
            return None
        before = self._samples.get(container)
        self._samples[container] = now
        return usage(self._containers.short_name(listed), limits, now, before)


def sample(stats: Mapping[str, Any]) -> Sample | None:
    """Reads the engine's statistics of a container. None if it doesn't run."""
    memory = stats["memory_stats"]
    if "usage" not in memory:
        return None
    # As `docker stats`: without the files that the kernel can drop (cgroup v2, v1).
    detail = memory.get("stats", {})
    reclaimable = detail.get("inactive_file", detail.get("total_inactive_file", 0))
    return Sample(
        time=datetime.fromisoformat(stats["read"]).timestamp(),
        cpu=stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        memory_mib=(memory["usage"] - reclaimable) / 2**20,
        processes=stats["pids_stats"].get("current", 0),
    )


def usage(name: str, limits: Mapping[str, Any], now: Sample, before: Sample | None) -> Usage:
    """What a container uses. `limits`: its `HostConfig`."""
    seconds = now.time - before.time if before else 0.0
    # After a restart the processor time starts at 0.
    used = now.cpu - before.cpu if before else 0.0
    return Usage(
        name=name,
        memory_mib=now.memory_mib,
        memory_limit_mib=limits["Memory"] / 2**20,
        cores=used / seconds if seconds > 0 and used >= 0 else None,
        cores_limit=limits["NanoCpus"] / 1e9,
        processes=now.processes,
    )
