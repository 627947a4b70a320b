"""The metrics of the containers of one stack, in cAdvisor's names.

Everything is read from files: no Docker socket and no capability is needed. Run it as 0:0, the owner
of Docker's files, and mount, all read-only:

- `/containers`: `/var/lib/docker/containers`.
- `/cgroup`, on cgroup v2: `/sys/fs/cgroup`. On cgroup v1, mount the folder of each controller
  (`/cgroup/memory`, `cpu`, `cpuacct`, `pids`, `blkio`), because before Docker 25 a read-only mount
  leaves the mounts below it writable. The exporter exits if a cgroup is writable.
- `/host-proc`, optional: the host's `/proc`, for the network metrics. The host's PID namespace isn't
  needed.

Environment: STACK, required, selects the containers by their label `strata.stack`; an engine has one
stack of a name. LISTEN_ADDRESSES (127.0.0.1), LISTEN_PORT (9300).

Labels: `id`, `name` and `image` as in cAdvisor (`id` is `/docker/ID` with either cgroup driver, so that
it is the same while a container doesn't run); `service`, the service or the job; `kind`, its
`strata.kind`; `replica`, its host name.

GET /health answers 503 and the reason if the files can't be read, or no container of the stack is
there: the exporter itself is one.

Differences from cAdvisor:
- Containers that don't run are shown too. Their `container_running` is 0, and they have no
  `container_last_seen` and no measurements. `container_exit_code` is absent until a container exits.
- `container_start_time_seconds` is the last start, not the creation.
- `strata_last_update_timestamp_seconds` is the newest creation. An update that changes a container
  creates a new one; a restart doesn't.
- `container_oom_events_total` continues across restarts, though each start has a new cgroup. It
  relies on Docker's `OOMKilled`. Docker 20.10 keeps that until the next exit; recent versions reset it
  at a start, so a kill is missed if Docker restarts the container before the next scrape.
- `container_fs_limit_bytes` is what an unprivileged process can fill, used plus available, as in the
  percentage of `df`; cAdvisor's includes the reserved blocks. Only the file system of `/containers`,
  Docker's data root, is shown, with `id="/"`. The sizes of volumes would need a walk of their files.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

from cgroups import Usage, device_name, usage_v1, usage_v2
from exposition import Exposition, UnavailableError, labels, serve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DEFAULT_PORT = 9300

# The kind of the containers that a backup or a restore creates.
BACKUP = "backup"

FAMILIES = {
    "strata_last_update_timestamp_seconds": (
        "gauge",
        "When an update last created a container of the stack, since unix epoch in seconds",
    ),
    "container_last_seen": ("gauge", "Last time a container was seen by the exporter"),
    "container_running": ("gauge", "Whether the container runs: 0 if created, paused or exited"),
    "container_health_state": (
        "gauge",
        "The result of the container's health check: 1 healthy, 0 starting or unhealthy, -1 none",
    ),
    "container_restarts_total": (
        "counter",
        "Restarts by Docker's restart policy since the container was last started by hand",
    ),
    "container_exit_code": ("gauge", "Exit code of a container that doesn't run"),
    "container_start_time_seconds": (
        "gauge",
        "Start time of the container since unix epoch in seconds",
    ),
    "container_oom_events_total": (
        "counter",
        "Count of out of memory events observed for the container",
    ),
    "container_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed in seconds"),
    "container_cpu_cfs_periods_total": (
        "counter",
        "Number of elapsed enforcement period intervals",
    ),
    "container_cpu_cfs_throttled_periods_total": (
        "counter",
        "Number of throttled period intervals",
    ),
    "container_cpu_cfs_throttled_seconds_total": (
        "counter",
        "Total time duration the container has been throttled",
    ),
    "container_spec_cpu_quota": ("gauge", "CPU quota of the container"),
    "container_spec_cpu_shares": ("gauge", "CPU share of the container"),
    "container_spec_cpu_period": ("gauge", "CPU period of the container"),
    "container_memory_usage_bytes": (
        "gauge",
        "Current memory usage in bytes, including all memory regardless of when it was accessed",
    ),
    "container_memory_working_set_bytes": ("gauge", "Current working set in bytes"),
    "container_memory_rss": ("gauge", "Size of RSS in bytes"),
    "container_memory_cache": ("gauge", "Number of bytes of page cache memory"),
    "container_spec_memory_limit_bytes": ("gauge", "Memory limit for the container"),
    "container_threads": ("gauge", "Number of threads running inside the container"),
    "container_threads_max": (
        "gauge",
        "Maximum number of threads allowed inside the container, infinity if value is zero",
    ),
    "container_fs_reads_bytes_total": ("counter", "Cumulative count of bytes read"),
    "container_fs_writes_bytes_total": ("counter", "Cumulative count of bytes written"),
    "container_network_receive_bytes_total": ("counter", "Cumulative count of bytes received"),
    "container_network_transmit_bytes_total": ("counter", "Cumulative count of bytes transmitted"),
    "container_fs_limit_bytes": (
        "gauge",
        "Number of bytes that can be consumed by the container on this filesystem",
    ),
    "container_fs_usage_bytes": (
        "gauge",
        "Number of bytes that are consumed by the container on this filesystem",
    ),
    "container_scrape_error": (
        "gauge",
        "1 if there was an error while getting container metrics, 0 otherwise",
    ),
}


def traffic(proc: Path, pid: int) -> Iterator[tuple[str, int, int]]:
    """The name, the bytes received and the bytes transmitted of each network interface of a process,
    without `lo`. Empty if the process has ended or `proc` isn't mounted."""
    try:
        lines = (proc / str(pid) / "net/dev").read_text().splitlines()[2:]
    except OSError:
        return
    for line in lines:
        interface, _, rest = line.partition(":")
        fields = rest.split()
        if interface.strip() != "lo":
            yield interface.strip(), int(fields[0]), int(fields[8])


def seconds(text: str) -> float | None:
    """A time as Docker writes it, in seconds since the epoch; None for Go's zero time ("never")."""
    return None if text.startswith("0001-") else datetime.fromisoformat(text).timestamp()


class Container:
    """A container as described by its `config.v2.json` and `hostconfig.json`. Raises KeyError, TypeError,
    AttributeError or ValueError if a file is malformed."""

    def __init__(self, config: dict[str, Any], host_config: dict[str, Any]) -> None:
        state = config["State"]
        settings = config["Config"]
        marks: dict[str, str] = settings["Labels"] or {}
        self.id: str = config["ID"]
        self.stack = marks.get("strata.stack")
        self.kind = marks.get("strata.kind", "")
        name = config["Name"].removeprefix("/")
        host_name: str = settings.get("Hostname") or ""
        self.labels = labels(
            {
                "id": f"/docker/{self.id}",
                "name": name,
                "image": settings["Image"],
                "service": marks.get("strata.service") or marks.get("strata.job", ""),
                "kind": self.kind,
                # Docker gives a container without a host name its ID.
                "replica": name if self.id.startswith(host_name) else host_name,
            }
        )
        self.running = bool(state["Running"]) and not state["Restarting"]
        self.paused = bool(state["Paused"])
        self.pid = int(state["Pid"])
        self.exit_code = int(state["ExitCode"])
        self.oom_killed = bool(state["OOMKilled"])
        self.created = datetime.fromisoformat(config["Created"]).timestamp()
        self.started = seconds(state["StartedAt"])
        self.finished = seconds(state["FinishedAt"])
        self.restarts = int(config["RestartCount"])
        # The weight of cgroup v2 can't be converted back: runc 1.3.2 changed it (google/cadvisor#3737).
        self.cpu_shares = int(host_config["CpuShares"])
        health = (state.get("Health") or {}).get("Status", "")
        # cAdvisor 0.60: google/cadvisor#3760.
        self.health = 1 if health == "healthy" else -1 if health in ("", "none") else 0


class OomEvents:
    """Counts the out-of-memory kills of a container across restarts: each start has a new cgroup, whose
    count starts at 0."""

    def __init__(self) -> None:
        self._ended = 0
        self._in_cgroup = 0
        self._finished: float | None = None

    def count(self, container: Container, in_cgroup: int) -> int:
        """`in_cgroup`: kills in the current cgroup, 0 if there is none."""
        if container.finished != self._finished:
            # A run has ended. Its kills are those last seen in its cgroup, or the one that ended it.
            self._ended += max(self._in_cgroup, int(container.oom_killed))
            self._finished = container.finished
            self._in_cgroup = 0
        self._in_cgroup = max(self._in_cgroup, in_cgroup)
        return self._ended + self._in_cgroup


class Exporter:
    """`containers`, `cgroup` and `proc` are the mounted folders. `proc` is optional."""

    def __init__(self, stack: str, containers: Path, cgroup: Path, proc: Path) -> None:
        self._stack = stack
        self._containers = containers
        self._cgroup = cgroup
        self._proc = proc
        self._oom_events: dict[str, OomEvents] = {}

    def writable(self) -> Path | None:
        """A folder of cgroups that this process can write to, or None."""
        for folder in (self._cgroup, *self._cgroup.glob("*")):
            if os.access(folder / "cgroup.procs", os.W_OK):
                return folder
        return None

    def metrics(self) -> str:
        """The text of one scrape. Raises UnavailableError if no container of the stack can be measured."""
        unified = (self._cgroup / "cgroup.controllers").exists()
        if not unified and not (self._cgroup / "memory").is_dir():
            raise UnavailableError(
                f"{self._cgroup} has neither cgroup.controllers nor memory/: mount the host's cgroups"
            )
        written = Exposition(FAMILIES)
        containers, failed = self._read_containers()
        if not containers:
            raise UnavailableError(
                f"{self._containers} has no container of stack {self._stack!r}: check STACK"
                " and the mount of Docker's containers"
            )
        present = 0
        for container in containers:
            usage = None
            try:
                usage = (usage_v2 if unified else usage_v1)(self._cgroup, container.id)
            except OSError:
                pass  # It ended during the scrape.
            except (ValueError, KeyError):
                failed = True
            present += usage is not None
            self._add_state(written, container, usage)
            if usage is not None:
                self._add_usage(written, container, usage)
        if not present and not failed and any(each.running for each in containers):
            raise UnavailableError(
                f"{self._cgroup} has no cgroup of a running container: mount the root of the host's"
                " cgroups"
            )
        known = {container.id for container in containers}
        self._oom_events = {key: value for key, value in self._oom_events.items() if key in known}
        updates = [each.created for each in containers if each.kind != BACKUP]
        if updates:
            written.add("strata_last_update_timestamp_seconds", "", max(updates))
        self._add_file_system(written)
        written.add("container_scrape_error", "", int(failed))
        return written.text()

    def _read_containers(self) -> tuple[list[Container], bool]:
        """The containers of the stack, and whether a file about one was malformed."""
        containers: list[Container] = []
        failed = False
        try:
            folders = sorted(self._containers.iterdir())
        except OSError as error:
            raise UnavailableError(f"{self._containers}: {error.strerror}") from error
        for folder in folders:
            path = folder / "config.v2.json"
            try:
                container = Container(
                    json.loads(path.read_text()),
                    json.loads((folder / "hostconfig.json").read_text()),
                )
            except (FileNotFoundError, NotADirectoryError):
                continue  # It was removed meanwhile, or isn't complete yet.
            except OSError as error:
                raise UnavailableError(f"{path}: {error.strerror}") from error
            except (ValueError, KeyError, TypeError, AttributeError):
                failed = True
                continue
            if container.stack == self._stack:
                containers.append(container)
        return containers, failed

    def _add_state(self, written: Exposition, container: Container, usage: Usage | None) -> None:
        events = self._oom_events.setdefault(container.id, OomEvents())
        running = usage is not None and container.running
        own = container.labels
        written.add("container_running", own, int(running and not container.paused))
        written.add("container_restarts_total", own, container.restarts)
        written.add(
            "container_oom_events_total",
            own,
            events.count(container, usage.oom_kills if usage else 0),
        )
        if container.started is not None:
            written.add("container_start_time_seconds", own, container.started)
        if running:
            written.add("container_last_seen", own, int(time.time()))
            written.add("container_health_state", own, container.health)
        elif container.finished is not None:
            written.add("container_exit_code", own, container.exit_code)

    def _add_usage(self, written: Exposition, container: Container, usage: Usage) -> None:
        written.add("container_spec_cpu_shares", container.labels, container.cpu_shares)
        for name, more, value in usage.samples:
            written.add(name, _joined(container.labels, more), value)
        if container.pid:
            for interface, received, transmitted in traffic(self._proc, container.pid):
                own = _joined(container.labels, {"interface": interface})
                written.add("container_network_receive_bytes_total", own, received)
                written.add("container_network_transmit_bytes_total", own, transmitted)

    def _add_file_system(self, written: Exposition) -> None:
        status = os.statvfs(self._containers)
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        device = self._containers.stat().st_dev
        own = labels({"id": "/", "device": device_name(f"{os.major(device)}:{os.minor(device)}")})
        written.add("container_fs_limit_bytes", own, used + status.f_bavail * status.f_frsize)
        written.add("container_fs_usage_bytes", own, used)


def _joined(own: str, more: dict[str, str]) -> str:
    return f"{own},{labels(more)}" if more else own


def main() -> None:
    stack = os.environ.get("STACK")
    if not stack:
        sys.exit("container-exporter: STACK is not set")
    exporter = Exporter(stack, Path("/containers"), Path("/cgroup"), Path("/host-proc"))
    folder = exporter.writable()
    if folder:
        sys.exit(
            f"container-exporter: {folder} is writable\n"
            "    mount it read-only; on cgroup v1, mount the folder of each controller"
        )
    serve("container-exporter", DEFAULT_PORT, exporter.metrics, exporter.metrics)


if __name__ == "__main__":
    main()
