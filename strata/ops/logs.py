"""What the containers of a stack print, as `strata logs` shows it on every platform."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from strata import console
from strata.errors import InvalidStackError, Problem

DURATION = re.compile(r"(\d+)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, order=True)
class Line:
    """`time`: when the platform read it, RFC 3339 in UTC. `source`: the container, without the name of
    the stack."""

    time: str
    source: str
    text: str


def show(line: Line) -> None:
    console.info(f"{line.source} | {line.text}")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The lines to show: those of `services` (services and jobs; empty: all), but none before `since`, and
    only the last `tail` that each container has printed so far."""

    services: Collection[str] = ()
    since: datetime | None = None
    tail: int | None = None


class Logs(Protocol):
    """The logs of some services."""

    def past(self) -> Iterator[Line]:
        """What was printed so far, in order of time."""

    def follow(self, show: Callable[[Line], None]) -> None:
        """Calls `show` with each line so far and from now on, also of containers that start later."""


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
