"""How the rules are tested: a stack that passes, one change, and the exact set of findings.

A fixture is a stack that passes every rule of its pack. A case changes one thing in it and lists all
findings of all rules as `slug/clause@resource`. So a rule fails its test if it reports too much, as
well as if it reports too little.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from strata.policies.crossguard.judge import Finding, Resource, Stack
from strata.policies.crossguard.rule import Pack, Rule
from strata.policies.crossguard.values import (
    SECRET_SIGNATURE,
    SIGNATURE_KEY,
    UNKNOWN_MARKERS,
    UNKNOWN_TEXT,
    UnknownValue,
    as_secret,
    join,
)

TODAY = date(2026, 6, 30)
REMOVED = object()
UNKNOWN = UNKNOWN_TEXT
HEX = "0123456789abcdef" * 4
STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def secret(value: Any) -> dict[str, Any]:
    """A secret value as the engine sends it."""
    return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": value}


def from_wire(value: Any, path: str = "") -> Any:
    """A wire value as rules see it. The server decodes messages; a test compares the two."""
    if isinstance(value, str):
        return UnknownValue(path) if value in UNKNOWN_MARKERS else value
    if isinstance(value, Mapping):
        if SIGNATURE_KEY not in value:
            return {key: from_wire(item, join(path, key)) for key, item in value.items()}
        if value[SIGNATURE_KEY] != SECRET_SIGNATURE:
            return {"asset": True}
        return (
            as_secret(from_wire(value["value"], path)) if "value" in value else UnknownValue(path)
        )
    if isinstance(value, Sequence):
        return [from_wire(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


@dataclass
class Made:
    """One resource of a fixture, with properties in wire format.

    `made_of` maps a property to the resources of the fixture whose outputs it uses. `after` lists the
    resources that are created before this one.
    """

    type: str
    properties: dict[str, Any]
    protect: bool = False
    made_of: dict[str, list[str]] = field(default_factory=dict)
    after: list[str] = field(default_factory=list)


Fixture = dict[str, Made]


@dataclass(frozen=True)
class Case:
    """A change to the fixture, and all findings after it.

    Keys of `change` are `resource:path`; `resource` alone replaces or adds a whole resource.
    `unjudged` holds `slug@resource`. `settings` are by slug. `says` and `hides` are texts that the
    messages must, or must not, contain.
    """

    change: Mapping[str, Any]
    finds: frozenset[str] = frozenset()
    unjudged: frozenset[str] = frozenset()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    name: str = ""
    says: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name of the case in the test report."""
        return (
            (self.name or ",".join(self.change) or "settings")
            + "->"
            + ",".join(sorted([*self.finds, *(f"?{one}" for one in self.unjudged)]))
        )


def bad(finds: str, settings: Mapping[str, Mapping[str, Any]] | None = None, **named: Any) -> Any:
    """A case with violations: `bad("slug/clause@resource", ...)(change)`."""

    def make(change: Mapping[str, Any]) -> Case:
        return Case(
            change,
            frozenset(finds.split()),
            frozenset(),
            settings or {},
            named.get("name", ""),
            tuple(named.get("says", ())),
            tuple(named.get("hides", ())),
        )

    return make


def good(
    change: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Case:
    """A case that passes every rule."""
    return Case(change, settings=settings or {})


def unknown(paths: str, unjudged: str = "", finds: str = "", **also: Any) -> Case:
    """A case in which the values at these paths are unknown."""
    change: dict[str, Any] = dict.fromkeys(paths.split(), UNKNOWN)
    change.update(also.get("change", {}))
    return Case(change, frozenset(finds.split()), frozenset(unjudged.split()))


def set_at(properties: Any, path: str, value: Any) -> None:
    """Sets, adds or removes the value at a path such as `ports[0].ip` or `envs[3]`."""
    steps = [key or int(index) for key, index in STEP.findall(path)]
    for step in steps[:-1]:
        if isinstance(properties, dict) and step not in properties:
            properties[step] = {}
        properties = properties[step]
    last = steps[-1]
    if value is REMOVED:
        del properties[last]
    elif isinstance(properties, list) and last == len(properties):
        properties.append(value)
    else:
        properties[last] = value


def changed(fixture: Fixture, change: Mapping[str, Any]) -> Fixture:
    """A copy of the fixture with a change."""
    made = copy.deepcopy(fixture)
    for key, value in change.items():
        name, _, path = key.partition(":")
        if not path:
            if value is REMOVED:
                del made[name]
            else:
                made[name] = copy.deepcopy(value)
        elif path == "protect":
            made[name].protect = value
        elif path == "made_of":
            made[name].made_of = value
        elif path == "after":
            made[name].after = value
        else:
            set_at(made[name].properties, path, value if value is REMOVED else copy.deepcopy(value))
    return made


def urn(name: str, made: Made) -> str:
    """The resource's URN."""
    return f"urn:pulumi:test::policies::{made.type}::{name}"


def resources(fixture: Fixture) -> list[Resource]:
    """The fixture's resources as rules see them."""
    return [
        Resource(
            type=made.type,
            name=name,
            urn=urn(name, made),
            properties=from_wire(made.properties),
            protect=made.protect,
            property_dependencies={
                key: tuple(urn(other, fixture[other]) for other in others if other in fixture)
                for key, others in made.made_of.items()
            },
            dependencies=tuple(urn(other, fixture[other]) for other in made.after),
        )
        for name, made in fixture.items()
    ]


def findings(
    rules: Iterable[Rule],
    fixture: Fixture,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Finding]:
    """The findings of these rules in a fixture."""
    found: list[Finding] = []
    judged = resources(fixture)
    stack = Stack(judged)
    for rule in rules:
        configured = rule.configured((settings or {}).get(rule.slug))
        if rule.accepts is None:
            found += rule.judge(stack, configured, TODAY)
            continue
        for resource in judged:
            if rule.accepts(resource.type):
                found += rule.judge(resource, configured, TODAY)
    return found


def violations(found: Iterable[Finding]) -> frozenset[str]:
    """`slug/clause@resource` of each violation."""
    return frozenset(
        f"{one.rule}/{one.clause}@{one.name}" for one in found if one.kind == "violation"
    )


def not_judged(found: Iterable[Finding]) -> frozenset[str]:
    """`slug@resource` of everything that could not be judged."""
    return frozenset(f"{one.rule}@{one.name}" for one in found if one.kind == "unjudged")


def messages_match(found: Iterable[Finding], case: Case) -> bool:
    """Whether the messages contain what the case requires, and nothing that it hides."""
    shown = "\n".join(one.message for one in found)
    return all(one in shown for one in case.says) and not any(one in shown for one in case.hides)


def outcome(rules: Iterable[Rule], fixture: Fixture, case: Case) -> tuple[frozenset[str], ...]:
    """The violations after a case's change, and what could not be judged."""
    found = findings(rules, changed(fixture, case.change), case.settings)
    return violations(found), not_judged(found)


def texts(value: Any) -> Iterable[str]:
    """Every string in a wire value, except markers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key != SIGNATURE_KEY:
                yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


@dataclass(frozen=True)
class Suite:
    """A pack with its fixture and its cases."""

    pack: Pack
    fixture: Fixture
    cases: tuple[Case, ...]
    # Rules that read only values that are always known.
    never_unknown: frozenset[str] = frozenset()
