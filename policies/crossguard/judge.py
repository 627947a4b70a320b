"""Collects the findings of one rule, and handles exemptions and unknown values for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Literal, Self

from strata.policies.crossguard.resource import Resource
from strata.policies.crossguard.values import Unknown, flag, text

Kind = Literal["violation", "exempt", "unjudged"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about one resource. `clause` identifies the check within the rule."""

    rule: str
    clause: str
    kind: Kind
    message: str
    name: str
    urn: str


@dataclass(slots=True)
class Judge:
    """The argument of every rule. As a context manager, it ends a block at the first unknown value.

    So an unknown value in one block doesn't stop the checks that follow it.
    """

    slug: str
    settings: Mapping[str, Any]
    subject: Resource | None
    today: date
    findings: list[Finding] = field(default_factory=list)
    _unknown: set[tuple[str, str]] = field(default_factory=set)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if isinstance(error, Unknown):
            self.unjudged(error.path)
        return isinstance(error, Unknown)

    def of(self, resource: Resource) -> "Judge":
        """The same judge with another subject: stack rules use it for one resource at a time."""
        return Judge(self.slug, self.settings, resource, self.today, self.findings, self._unknown)

    def violation(self, clause: str, message: str, resource: Resource | None = None) -> None:
        """Reports a violation. `message` must not contain the value of a property."""
        subject = resource or self.subject
        entry = self._exemption(subject)
        if entry is not None and not exemption_problem(entry, self.today):
            message = f"exempt until {entry['expires']} ({entry['reason']}): {message}"
            self._add(clause, "exempt", message, subject)
        else:
            self._add(clause, "violation", message, subject)

    def require(self, resource: Resource, clause: str, path: str, value: str) -> None:
        """Reports a property of a resource whose value isn't this one."""
        with self.of(resource) as judge:
            given = resource.get(*path.split("."))
            if (text(flag(given)) if value == "true" else text(given)) != value:
                judge.violation(clause, f"{path} is not {value}")

    def unjudged(self, path: str) -> None:
        """Reports an unknown value that the rule needs, once per resource and path."""
        subject = self.subject
        key = (subject.urn if subject else "", path)
        if key in self._unknown:
            return
        self._unknown.add(key)
        entry = self._exemption(subject)
        if entry is None or exemption_problem(entry, self.today):
            name = subject.name if subject else "the stack"
            message = f"{self.slug} could not be judged on {name}: "
            message += f"{path or 'a property'} is not known yet"
            self._add("unknown", "unjudged", message, subject)

    def check_exemption(self, resource: Resource) -> None:
        """Reports an exemption that has no reason or has expired."""
        entry = self._exemption(resource)
        problem = exemption_problem(entry, self.today) if entry is not None else ""
        if problem:
            self._add("exemption", "violation", problem, resource)

    def _add(self, clause: str, kind: Kind, message: str, subject: Resource | None) -> None:
        name, urn = (subject.name, subject.urn) if subject else ("", "")
        self.findings.append(Finding(self.slug, clause, kind, message, name, urn))

    def _exemption(self, subject: Resource | None) -> Mapping[str, Any] | None:
        exemptions = self.settings.get("exemptions")
        if not exemptions or not subject:
            return None
        by_name = {entry.get("name"): entry for entry in exemptions}
        return by_name.get(subject.name) or by_name.get(subject.urn)


def exemption_problem(entry: Mapping[str, Any], today: date) -> str:
    """Why an exemption is invalid; empty if it is valid."""
    if not str(entry.get("reason", "")).strip():
        return "the exemption has no reason: add one, or remove the exemption"
    try:
        expires = date.fromisoformat(str(entry.get("expires", "")))
    except ValueError:
        return "the exemption has no expiry date: set `expires` to YYYY-MM-DD, or remove it"
    if expires < today:
        return f"the exemption expired on {expires}: comply, or renew it with a reason"
    return ""


def current_day() -> date:
    """Today in UTC: an exemption expires at the same moment on every machine."""
    return datetime.now(UTC).date()
