"""What a rule gets: a resource or the stack, and the judge that collects its findings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Self

from strata.policies.crossguard.values import Unknown, dig, flag, is_unknown, numbered, text

Kind = Literal["violation", "exempt", "unjudged"]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `type` is the Pulumi type token.

    Only stack rules get the last two fields. `property_dependencies` maps a property to the URNs of
    the resources whose outputs it uses: it identifies a resource whose name is still unknown.
    """

    type: str
    name: str
    urn: str
    properties: dict[str, Any]
    protect: bool = False
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()

    def get(self, *keys: str) -> Any:
        """The value at this path of property names; None if absent."""
        return dig(self.properties, *keys)

    def each(self, *keys: str) -> Iterator[tuple[Any, str]]:
        """The items of the list at this path of property names, each with its own path."""
        return numbered(self.get(*keys), ".".join(keys))

    @property
    def has_known_name(self) -> bool:
        """Whether the property `name` is set and known."""
        return not (self.get("name") is None or is_unknown(self.get("name")))


class Stack:
    """All resources of a stack, indexed once for all stack rules."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources
        self.by_urn = {resource.urn: resource for resource in resources}
        self._by_type: dict[str, list[Resource]] = {}
        self._named: dict[str, dict[str, Resource]] = {}
        for resource in resources:
            self._by_type.setdefault(resource.type, []).append(resource)

    def of(self, *types: str) -> list[Resource]:
        return [resource for kind in types for resource in self._by_type.get(kind, ())]

    def matching(self, accepts: Callable[[str], bool]) -> list[Resource]:
        """The resources whose type is accepted. Calls `accepts` once per type."""
        return self.of(*(kind for kind in self._by_type if accepts(kind)))

    def dependencies_of(self, resource: Resource, name: str, *types: str) -> list[Resource]:
        """The resources of these types whose outputs a property uses."""
        urns = resource.property_dependencies.get(name, ())
        used = [self.by_urn[urn] for urn in urns if urn in self.by_urn]
        return [other for other in used if other.type in types]

    def named(self, kind: str, name: str) -> Resource | None:
        """The resource of this type whose property `name` is known to have this value."""
        if kind not in self._named:
            named = (resource for resource in self.of(kind) if resource.has_known_name)
            self._named[kind] = {text(resource.get("name")): resource for resource in named}
        return self._named[kind].get(name)


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

    def __exit__(self, _kind: object, error: object, _traceback: object) -> bool:
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
        if entry is not None and (problem := exemption_problem(entry, self.today)):
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
