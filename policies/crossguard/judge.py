"""Applies a rule to a resource or a stack and collects what it finds.

Exemptions, unknown values and errors in a rule are dealt with here, once, so that a rule holds
nothing but what it judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import TracebackType
from typing import Any, Literal

from strata.policies.crossguard.rule import Resource, Rule, Stack
from strata.policies.crossguard.values import Unknown

Kind = Literal["violation", "exempt", "unjudged"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a rule says of one resource. ``clause`` names the part of the rule that says it."""

    rule: str
    clause: str
    kind: Kind
    message: str
    name: str
    urn: str


class Judge:
    """Handed to a rule. As a context, an unknown value inside ends that block, not the rule."""

    __slots__ = ("_by_name", "_today", "found", "rule", "settings", "subject", "unknown_paths")

    def __init__(
        self, rule: Rule, settings: Mapping[str, Any], subject: Resource | None, today: date
    ) -> None:
        self.rule = rule
        self.settings = settings
        self.subject = subject
        self.found: list[Finding] = []
        self.unknown_paths: set[tuple[str, str]] = set()
        self._today = today
        self._by_name = {
            str(entry.get("name", "")): entry for entry in settings.get("exemptions") or ()
        }

    def __enter__(self) -> Judge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if isinstance(error, Unknown):
            self.unjudged(error.path)
            return True
        return False

    def violation(self, clause: str, message: str, resource: Resource | None = None) -> None:
        """Reports a broken clause of the rule. ``message`` must not hold a property value."""
        subject = resource or self.subject
        name, urn = (subject.name, subject.urn) if subject else ("", "")
        entry = self._exemption(name, urn)
        if entry is not None and not exemption_problem(entry, self._today):
            message = f"exempt until {entry['expires']} ({entry['reason']}): {message}"
            self.found.append(Finding(self.rule.slug, clause, "exempt", message, name, urn))
            return
        self.found.append(Finding(self.rule.slug, clause, "violation", message, name, urn))

    def unjudged(self, path: str, resource: Resource | None = None) -> None:
        """Reports that a value was needed that is not known yet. Once a rule, resource and path."""
        subject = resource or self.subject
        name, urn = (subject.name, subject.urn) if subject else ("", "")
        if (urn, path) in self.unknown_paths:
            return
        self.unknown_paths.add((urn, path))
        entry = self._exemption(name, urn)
        if entry is not None and not exemption_problem(entry, self._today):
            return
        message = f"{self.rule.slug} could not be judged on {name or 'the stack'}: "
        message += f"{path or 'a property'} is not known yet"
        self.found.append(Finding(self.rule.slug, "unknown", "unjudged", message, name, urn))

    def of(self, resource: Resource) -> About:
        """A context within a stack rule: what is unknown inside is reported of ``resource``."""
        return About(self, resource)

    def check_exemption(self, resource: Resource) -> None:
        """An exemption without a reason, or past its date, is a violation that says so."""
        entry = self._exemption(resource.name, resource.urn)
        problem = exemption_problem(entry, self._today) if entry is not None else ""
        if problem:
            self.found.append(
                Finding(
                    self.rule.slug, "exemption", "violation", problem, resource.name, resource.urn
                )
            )

    def _exemption(self, name: str, urn: str) -> Mapping[str, Any] | None:
        if not self._by_name:
            return None
        return self._by_name.get(name) or self._by_name.get(urn)


class About:
    """See ``Judge.of``."""

    __slots__ = ("judge", "resource")

    def __init__(self, judge: Judge, resource: Resource) -> None:
        self.judge = judge
        self.resource = resource

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if isinstance(error, Unknown):
            self.judge.unjudged(error.path, self.resource)
            return True
        return False


def exemption_problem(entry: Mapping[str, Any], today: date) -> str:
    """Why an exemption does not hold, or an empty string."""
    if not str(entry.get("reason", "")).strip():
        return "the exemption has no reason: state why this resource may pass, or remove it"
    try:
        expires = date.fromisoformat(str(entry.get("expires", "")))
    except ValueError:
        return "the exemption has no expiry date: state expires as YYYY-MM-DD, or remove it"
    if expires < today:
        return f"the exemption expired on {expires}: comply, or renew it with its reason"
    return ""


def judge_resource(
    rule: Rule, resource: Resource, settings: Mapping[str, Any], today: date | None = None
) -> list[Finding]:
    """What a rule says of one resource."""
    judge = Judge(rule, settings, resource, today or current_day())
    judge.check_exemption(resource)
    with judge:
        _run(rule, resource, judge)
    return judge.found


def judge_stack(
    rule: Rule, stack: Stack, settings: Mapping[str, Any], today: date | None = None
) -> list[Finding]:
    """What a stack rule says of all resources together."""
    judge = Judge(rule, settings, None, today or current_day())
    if settings.get("exemptions"):
        for resource in stack.resources:
            judge.check_exemption(resource)
    with judge:
        _run(rule, stack, judge)
    return judge.found


def _run(rule: Rule, subject: Resource | Stack, judge: Judge) -> None:
    """A rule that fails must stop the run, and its error text could hold a value: name the type."""
    try:
        rule.function(subject, judge)
    except Unknown:
        raise
    except Exception as error:  # whatever it is, it must not let a resource pass
        judge.violation(
            "error",
            f"the rule itself failed ({type(error).__name__}) on a property of an unexpected form; "
            "report it, or exempt the resource until it is mended",
        )


def current_day() -> date:
    """Today in UTC, so that an exemption ends at the same moment on every machine."""
    return datetime.now(UTC).date()


def merged_settings(rule: Rule, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """A rule's settings: the defaults, and over them what the configuration gives."""
    return {**rule.defaults(), **(given or {})}


def by_urn(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Findings grouped by the resource they are about."""
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        grouped.setdefault(finding.urn, []).append(finding)
    return grouped
