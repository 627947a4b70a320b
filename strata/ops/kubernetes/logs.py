"""What the pods of a stack in a cluster print."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from math import ceil
from threading import Thread

import urllib3

from strata.ops.kubernetes.cluster import Cluster, container_status, name_of
from strata.ops.logs import Line, Selection
from strata.platforms.kubernetes.pod_state import Json

INTERVAL_SECONDS = 2.0
"""Between two looks for pods that have started. A new one is read from its first line."""


@dataclass(frozen=True, kw_only=True)
class ClusterLogs:
    """Raises `InvalidStackError` if there is nothing of the stack, or no such service."""

    cluster: Cluster
    selection: Selection

    def __post_init__(self) -> None:
        self.cluster.check_services(self.selection.services)

    def past(self) -> Iterator[Line]:
        """What was printed so far, in order of time."""
        since, tail = self.selection.since, self.selection.tail
        return merge(*(self._lines(each, since, tail) for each in self._started().values()))

    def follow(self, show: Callable[[Line], None]) -> None:
        """Calls `show` with each line so far and from now on, also of pods that start later."""
        from kubernetes.client.exceptions import ApiException

        threads: dict[str, Thread] = {}
        ended: set[str] = set()
        last: dict[str, str] = {}

        def run(container: str, pod: Json, since: datetime | None, tail: int | None) -> None:
            shown = last.get(container, "")
            try:
                for line in self._lines(pod, since, tail, follow=True):
                    if line.time > shown:
                        last[container] = line.time
                        show(line)
                ended.add(container)
            except ApiException:
                ended.add(container)
            except urllib3.exceptions.HTTPError:
                pass  # The connection broke: the next look continues after the last line.

        since, tail = self.selection.since, self.selection.tail
        while True:
            for container, pod in self._started().items():
                is_running = "running" in container_status(pod)["state"]
                if container in threads and (
                    threads[container].is_alive() or (container in ended and not is_running)
                ):
                    continue
                after, most = since, tail
                if container in last:
                    after, most = datetime.fromisoformat(last[container]), None
                arguments = (container, pod, after, most)
                threads[container] = Thread(target=run, args=arguments, daemon=True)
                threads[container].start()
            since, tail = None, None
            time.sleep(INTERVAL_SECONDS)

    def _started(self) -> dict[str, Json]:
        """The pods whose container runs or has run, by the id of the container: a restart is another
        one."""
        pods = self.cluster.pods(self.selection.services)
        statuses = [(container_status(pod), pod) for pod in pods]
        return {str(each["containerID"]): pod for each, pod in statuses if each.get("containerID")}

    def _lines(
        self, pod: Json, since: datetime | None, tail: int | None, *, follow: bool = False
    ) -> Iterator[Line]:
        from kubernetes.client.exceptions import NotFoundException

        # The API takes whole seconds; the lines before are left out below.
        age = None if since is None else max(1, ceil((datetime.now(UTC) - since).total_seconds()))
        first = "" if since is None else _in_utc(since.isoformat())
        try:
            for raw in self.cluster.log(pod, since_seconds=age, tail=tail, follow=follow):
                each = line(name_of(pod), raw)
                if each.time >= first:
                    yield each
        except NotFoundException:
            pass  # The pod was deleted meanwhile.


def line(source: str, raw: bytes) -> Line:
    """A line of a log as the API sends it, with its time in the zone of the node."""
    stamp, _, text = raw.decode(errors="replace").rstrip("\r\n").partition(" ")
    return Line(_in_utc(stamp), source, text)


def _in_utc(stamp: str) -> str:
    """RFC 3339 in UTC with nine digits, so that times sort as text."""
    if not stamp.endswith("Z"):
        stamp = datetime.fromisoformat(stamp).astimezone(UTC).isoformat().replace("+00:00", "Z")
    seconds, _, fraction = stamp.removesuffix("Z").partition(".")
    return f"{seconds}.{fraction:0<9}Z"
