"""What the containers of a stack on Docker print: `strata logs`."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from threading import Thread
from typing import Any

from strata.errors import InvalidStackError, Problem
from strata.ops.status import containers, not_up
from strata.platforms.docker.names import JOB, SERVICE, STACK

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
        listed = containers(self.client, self.project, self.stack)
        if not listed:
            pods = f"{self.project}-{self.stack} --selector app.kubernetes.io/name=SERVICE"
            raise not_up(self.stack, f"kubectl logs --namespace {pods}")
        known = sorted({_service(each) for each in listed})
        fix = f"use one of: {', '.join(known)}"
        unknown = sorted(set(self.services) - set(known))
        if unknown:
            raise InvalidStackError(
                Problem(f"stack {self.stack}", f"has no service {name}", fix) for name in unknown
            )

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
        return [
            each
            for each in containers(self.client, self.project, self.stack)
            if not self.services or _service(each) in self.services
        ]

    def _lines(
        self, container: dict[str, Any], since: datetime | None, *, follow: bool = False
    ) -> Iterator[Line]:
        name = container["Names"][0].removeprefix(f"/{self.project}-{self.stack}-")
        frames = self.client.api.logs(
            container["Id"],
            stream=True,
            follow=follow,
            timestamps=True,
            since=since.timestamp() if since else None,
            tail="all" if self.tail is None else self.tail,
        )
        return lines(name, frames)


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


def _service(container: dict[str, Any]) -> str:
    labels = container["Labels"]
    return str(labels.get(SERVICE) or labels.get(JOB, ""))
