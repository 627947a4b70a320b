"""What the containers of a stack on Docker print: `strata logs`."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from threading import Thread
from typing import Any

from strata.errors import InvalidStackError, Problem
from strata.ops.containers import Containers, service_of
from strata.platforms.docker.names import STACK

DURATION = re.compile(r"(\d+)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, order=True)
class Line:
    """`time`: when Docker read it, RFC 3339 in UTC. `source`: the container, without the name of the
    stack."""

    time: str
    source: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The logs of a stack's services and jobs; of all without `services`. `since` and `tail` (the last
    lines of each container) leave out older lines.

    Raises `InvalidStackError` if there is nothing of the stack, or no such service.
    """

    client: Any
    project: str
    stack: str
    services: Collection[str] = ()
    since: datetime | None = None
    tail: int | None = None

    def __post_init__(self) -> None:
        pods = "kubectl logs --namespace NAMESPACE --selector app.kubernetes.io/name=SERVICE"
        self._stack.of(self.services, pods)

    def past(self) -> Iterator[Line]:
        """What was printed so far, in order of time."""
        return merge(*(self._lines(each, self.since) for each in self._containers()))

    def follow(self, show: Callable[[Line], None]) -> None:
        """Calls `show` with each line so far and from now on, also of containers that start later."""
        followed: set[tuple[str, str]] = set()

        def start(container: dict[str, Any], since: datetime | None) -> None:
            state = self.client.api.inspect_container(container["Id"])["State"]
            if (container["Id"], state["StartedAt"]) in followed:
                return
            followed.add((container["Id"], state["StartedAt"]))

            def run() -> None:
                for line in self._lines(container, since, follow=True):
                    show(line)

            Thread(target=run, daemon=True).start()

        # Before the containers are listed, so that none is missed.
        filters = {"type": "container", "event": "start", "label": f"{STACK}={self.stack}"}
        events = self.client.api.events(decode=True, filters=filters)
        for container in self._containers():
            start(container, self.since)
        for event in events:
            for container in self._containers():
                if container["Id"] == event["id"]:
                    start(container, datetime.fromtimestamp(event["timeNano"] / 1e9, UTC))

    def _containers(self) -> list[dict[str, Any]]:
        # One that was removed since may come back.
        return [
            each
            for each in self._stack.all()
            if not self.services or service_of(each) in self.services
        ]

    @property
    def _stack(self) -> Containers:
        return Containers(client=self.client, project=self.project, stack=self.stack)

    def _lines(
        self, container: dict[str, Any], since: datetime | None, *, follow: bool = False
    ) -> Iterator[Line]:
        frames = self.client.api.logs(
            container["Id"],
            stream=True,
            follow=follow,
            timestamps=True,
            since=since.timestamp() if since else None,
            tail="all" if self.tail is None else self.tail,
        )
        return lines(self._stack.short_name(container), frames)


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


def since(text: str, now: datetime, option: str = "--since") -> datetime:
    """A time (ISO 8601; in UTC unless it names a zone) or a duration before now, such as 90s, 10m, 2h or
    1d. Raises `InvalidStackError` for anything else, with the name of the `option`."""
    if duration := DURATION.fullmatch(text):
        return now - timedelta(**{UNITS[duration[2]]: int(duration[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        fix = "use a duration such as 90s, 10m, 2h or 1d, or a time such as 2026-01-31T12:00:00"
        raise InvalidStackError([Problem(option, f"{text!r} is not a time", fix)]) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
