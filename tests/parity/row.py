"""A row of the table: the description of a field, and the changes that test it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from strata.model import Workload

Change = Callable[[Workload], Workload]


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a platform made of a description: every resource, the outputs of the stack, and what the
    gates were asked to wait for (on Docker, by container)."""

    recorded: Any
    outputs: Mapping[str, Any]
    gates: Mapping[str, Any] = field(default_factory=dict)


Find = Callable[[Made, str], Any]
"""What is looked at: of all that was made, what belongs to the service or job of this name."""


@dataclass(frozen=True)
class Seen:
    """The change is seen: `find` gives `value`, and gives another before the change."""

    find: Find
    value: Any


@dataclass(frozen=True)
class Refused:
    """The change is refused; `path` may hold `{noun}` and `{name}`."""

    path: str


@dataclass(frozen=True)
class Same:
    """The platform makes the same with and without the change; what is said of the field says so."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One change to a description, and what comes of it. `given` is changed before, so that the
    field matters at all; `others` are changes to other services, by name."""

    change: Change
    docker: Seen | Refused | Same
    kubernetes: Seen | Refused | Same
    given: Change = lambda process: process
    others: Mapping[str, Change] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A field, or a part of a text that has none. `on` are those of the base description that the
    checks are made of."""

    field: str
    docker: str
    kubernetes: str
    checks: tuple[Check, ...]
    on: tuple[str, ...]


def fields(**changed: Any) -> Change:
    """A change of these fields of a service or job."""
    return lambda process: replace(process, **changed)


def within(of: str, **changed: Any) -> Change:
    """A change of these fields of what a field holds, or of the last of several."""

    def change(process: Workload) -> Workload:
        held = getattr(process, of)
        several = isinstance(held, tuple)
        new = (*held[:-1], replace(held[-1], **changed)) if several else replace(held, **changed)
        return fields(**{of: new})(process)

    return change


def dig(value: Any, *path: Any) -> Any:
    """What lies at the end of a path; None where there is nothing."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
