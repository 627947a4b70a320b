"""The record of a rule: what it stops, how to comply, levels, settings, and its function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from strata.policies.crossguard.values import dig

if TYPE_CHECKING:
    from strata.policies.crossguard.judge import Judge

Level = Literal["advisory", "mandatory"]
Severity = Literal["low", "medium", "high", "critical"]
ADVISORY: Level = "advisory"
MANDATORY: Level = "mandatory"

COULD_NOT_BE_JUDGED = "could-not-be-judged"

# Every rule takes exemptions. Only the name is required by this schema: that a reason or a date is
# missing is for the rule to report as a violation, not for the engine to refuse the whole run.
EXEMPTIONS: dict[str, Any] = {
    "type": "array",
    "default": [],
    "description": "Resources this rule lets pass: name (logical name or URN), reason, expires "
    "(YYYY-MM-DD, the last day it holds).",
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "reason": {"type": "string"},
            "expires": {"type": "string"},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, as the engine shows it. ``type`` is the Pulumi token."""

    type: str
    name: str
    urn: str
    properties: dict[str, Any]
    protect: bool = False
    parent: str = ""
    # Property name -> URNs of the resources whose outputs it was made of. Only stack rules have it:
    # it is what tells which network an unknown network id will be.
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # URNs of all that is made before it. Only stack rules have it.
    dependencies: tuple[str, ...] = ()

    def get(self, *keys: str) -> Any:
        """The value at the end of these property names; None when absent."""
        return dig(self.properties, *keys)


class Stack:
    """All resources of a stack, found by type. Made in one walk that all stack rules share."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources
        self.by_urn: dict[str, Resource] = {}
        self._by_type: dict[str, list[Resource]] = {}
        self.notes: dict[str, Any] = {}
        for resource in resources:
            self.by_urn[resource.urn] = resource
            self._by_type.setdefault(resource.type, []).append(resource)

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types, in the order of the stack."""
        if len(types) == 1:
            return self._by_type.get(types[0], [])
        return [found for kind in types for found in self._by_type.get(kind, [])]

    def matching(self, accepts: Callable[[str], bool]) -> list[Resource]:
        """The resources whose type is accepted. Asked once a type, not once a resource."""
        kinds = [kind for kind in self._by_type if accepts(kind)]
        return [found for kind in kinds for found in self._by_type[kind]]

    def note(self, key: str, make: Callable[[Stack], Any]) -> Any:
        """Something derived from the stack, made once for all the rules that ask for it."""
        if key not in self.notes:
            self.notes[key] = make(self)
        return self.notes[key]


ResourceFunction = Callable[[Resource, "Judge"], None]
StackFunction = Callable[[Stack, "Judge"], None]
# Gives the properties to set, by path; the server writes them into the resource.
Remedy = Callable[[Resource, Mapping[str, Any]], dict[tuple[str, ...], Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. ``accepts`` tells which types of resource it looks at; None: the whole stack."""

    slug: str
    title: str
    stops: str
    comply: str
    benchmark: tuple[str, ...]
    severity: Severity
    development: Level
    production: Level
    function: Callable[[Any, Judge], None]
    accepts: Callable[[str], bool] | None = None
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remedy: Remedy | None = None

    @property
    def is_stack_rule(self) -> bool:
        """Whether the rule looks at the whole stack at once."""
        return self.accepts is None

    def schema(self) -> dict[str, Any]:
        """The settings with their defaults, as the engine checks them."""
        return {
            **{key: dict(value) for key, value in self.settings.items()},
            "exemptions": EXEMPTIONS,
        }

    def defaults(self) -> dict[str, Any]:
        """The settings' defaults."""
        return {key: value["default"] for key, value in self.schema().items()}


def rule(**record: Any) -> Callable[[Callable[[Any, Judge], None]], Rule]:
    """Makes the decorated function a ``Rule`` with this record."""

    def wrap(function: Callable[[Any, Judge], None]) -> Rule:
        if isinstance(record.get("accepts"), str | frozenset):
            names = record["accepts"]
            wanted = frozenset({names}) if isinstance(names, str) else names
            record["accepts"] = wanted.__contains__
        return Rule(function=function, **record)

    return wrap


def setting(kind: str, default: Any, description: str, **more: Any) -> dict[str, Any]:
    """One setting of a rule: JSON type, default, what it is for."""
    schema: dict[str, Any] = {"type": kind, "default": default, "description": description, **more}
    if kind == "array" and "items" not in schema:
        schema["items"] = {"type": "string"}
    return schema


@dataclass(frozen=True, slots=True)
class Pack:
    """A policy pack: its name and the rules of its topics, in their order."""

    name: str
    title: str
    platform: str
    topics: tuple[ModuleType, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every topic; defining one in a topic's file is what registers it."""
        return tuple(
            value
            for topic in self.topics
            for value in vars(topic).values()
            if isinstance(value, Rule)
        )


def could_not_be_judged() -> Rule:
    """The rule under whose name is reported what an unknown value kept from being judged."""
    return Rule(
        slug=COULD_NOT_BE_JUDGED,
        title="Every rule could be judged.",
        stops="A preview that looks clean only because values were not known yet. What is reported "
        "names the rule, the resource and the property, and shows no value. It is never harsher "
        "than the rule that could not be judged.",
        comply="Make the value known at preview (state it, or take it from config), or judge the "
        "state "
        "after `up` with `strata policy audit --stack STACK`. In CI set this rule to mandatory: "
        '`{"could-not-be-judged": "mandatory"}` in the pack\'s configuration.',
        benchmark=(),
        severity="medium",
        development=ADVISORY,
        production=ADVISORY,
        function=lambda _subject, _judge: None,
        accepts=lambda _type: False,
    )
