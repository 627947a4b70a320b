"""What the containers of a stack on Docker print."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from threading import Thread
from typing import Any

from strata.ops.docker.containers import Containers, service_of
from strata.ops.logs import Line, Selection
from strata.platforms.docker.names import STACK


@dataclass(frozen=True, kw_only=True)
class DockerLogs:
    """Raises `InvalidStackError` if there is nothing of the stack, or no such service."""

    own: Containers
    selection: Selection

    def __post_init__(self) -> None:
        self.own.of(self.selection.services)

    def past(self) -> Iterator[Line]:
        """What was printed so far, in order of time."""
        return merge(*(self._lines(each, self.selection.since) for each in self._containers()))

    def follow(self, show: Callable[[Line], None]) -> None:
        """Calls `show` with each line so far and from now on, also of containers that start later."""
        followed: set[tuple[str, str]] = set()

        def start(container: dict[str, Any], since: datetime | None) -> None:
            state = self.own.client.api.inspect_container(container["Id"])["State"]
            if (container["Id"], state["StartedAt"]) in followed:
                return
            followed.add((container["Id"], state["StartedAt"]))

            def run() -> None:
                for line in self._lines(container, since, follow=True):
                    show(line)

            Thread(target=run, daemon=True).start()

        # Before the containers are listed, so that none is missed.
        filters = {"type": "container", "event": "start", "label": f"{STACK}={self.own.stack}"}
        events = self.own.client.api.events(decode=True, filters=filters)
        for container in self._containers():
            start(container, self.selection.since)
        for event in events:
            for container in self._containers():
                if container["Id"] == event["id"]:
                    start(container, datetime.fromtimestamp(event["timeNano"] / 1e9, UTC))

    def _containers(self) -> list[dict[str, Any]]:
        # One that was removed since may come back.
        services = self.selection.services
        return [each for each in self.own.all() if not services or service_of(each) in services]

    def _lines(
        self, container: dict[str, Any], since: datetime | None, *, follow: bool = False
    ) -> Iterator[Line]:
        frames = self.own.client.api.logs(
            container["Id"],
            stream=True,
            follow=follow,
            timestamps=True,
            since=since.timestamp() if since else None,
            tail="all" if self.selection.tail is None else self.selection.tail,
        )
        return lines(self.own.short_name(container), frames)


def lines(source: str, frames: Iterable[bytes]) -> Iterator[Line]:
    """The lines of a log as Docker sends it. It cuts a line of more than 16 KiB into frames, each with a
    time."""
    begun: Line | None = None
    for frame in frames:
        time, _, text = frame.decode(errors="replace").partition(" ")
        line = Line(begun.time, source, begun.text + text) if begun else Line(time, source, text)
        begun = None if text.endswith("\n") else line
        if begun is None:
            yield Line(line.time, source, line.text.rstrip("\r\n"))
    if begun:
        yield begun
