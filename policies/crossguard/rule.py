"""Rules and packs: what is checked, why, how to fix it, and how strict it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any, Literal

from strata.policies.crossguard.judge import Finding, Judge, Resource, Stack
from strata.policies.crossguard.values import Unknown

Level = Literal["advisory", "mandatory"]
Severity = Literal["low", "medium", "high", "critical"]
Setting = dict[str, Any]
"""A JSON schema with a default."""
Check = Callable[[Any, Judge], None]
Visit = Callable[[Check, Any, Judge], None]
"""Applies a check to the parts of a resource, such as its containers."""
Changes = dict[tuple[str, ...], Any]
"""Property values by path."""
Remediation = Callable[[Resource, Mapping[str, Any]], Changes]

ADVISORY: Level = "advisory"
MANDATORY: Level = "mandatory"
COULD_NOT_BE_JUDGED = "could-not-be-judged"
JSON_TYPES = {str: "string", int: "integer", bool: "boolean"}

# The schema requires only the name. The rule itself reports a missing reason or date as a violation;
# a schema error would stop the whole run.
EXEMPTIONS: Setting = {
    "type": "array",
    "default": [],
    "description": "Resources that the rule exempts: name (logical name or URN), reason, expires "
    "(YYYY-MM-DD, the last day).",
    "items": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("name", "reason", "expires")},
        "required": ["name"],
        "additionalProperties": False,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, and the decorator of its check: the function's name is the rule's slug.

    `accepts` selects types of resources; a rule without it looks at the whole stack. Unless `prod`
    or `dev_level` says otherwise, a rule is mandatory on prod, and on dev only if it is critical.
    `references` are the controls that it implements. The analyzer writes the changes of
    `remediation`, only at level `remediate`.
    """

    title: str
    risk: str
    fix: str
    severity: Severity
    slug: str = ""
    check: Check = lambda _subject, _judge: None
    dev_level: Level | None = None
    prod: Level = MANDATORY
    references: tuple[str, ...] = ()
    accepts: Callable[[str], bool] | None = None
    visit: Visit = lambda check, subject, judge: check(subject, judge)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    remediation: Remediation | None = None

    def __call__(self, check: Check) -> "Rule":
        return replace(self, check=check, slug=check.__name__.replace("_", "-"))

    @property
    def dev(self) -> Level:
        return self.dev_level or (MANDATORY if self.severity == "critical" else ADVISORY)

    @property
    def is_stack_rule(self) -> bool:
        return self.accepts is None

    def schema(self) -> dict[str, Setting]:
        return {**self.settings, "exemptions": EXEMPTIONS}

    def configured(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The settings: the defaults, overridden by what the configuration gives."""
        return {key: value["default"] for key, value in self.schema().items()} | dict(given or {})

    def judge(
        self, subject: Resource | Stack, settings: Mapping[str, Any], today: date | None = None
    ) -> list[Finding]:
        """Judges a resource, or a stack if this is a stack rule.

        Exemptions expire by the day in UTC: at the same moment on every machine.
        """
        single = subject if isinstance(subject, Resource) else None
        judge = Judge(self.slug, settings, single, today or datetime.now(UTC).date())
        if settings.get("exemptions"):
            for resource in [subject] if isinstance(subject, Resource) else subject.resources:
                judge.check_exemption(resource)
        with judge:
            try:
                self.visit(self.check, subject, judge)
            except Unknown:
                raise
            except Exception as error:  # any failure must stop the run; its text may hold a value
                judge.violation(
                    "error",
                    f"the rule failed ({type(error).__name__}) on a property of an unexpected type; "
                    "report a bug, or exempt the resource until it is fixed",
                )
        return judge.findings


def is_type(*tokens: str) -> Callable[[str], bool]:
    """Accepts exactly these types."""
    return frozenset(tokens).__contains__


def setting(default: Any, description: str, items: str = "string") -> Setting:
    """A setting of a rule, of the type of its default. `items` is the JSON type of a list's items."""
    if type(default) in JSON_TYPES:
        return {"type": JSON_TYPES[type(default)], "default": default, "description": description}
    schema = {"type": "array", "default": list(default), "description": description}
    return schema | {"items": {"type": items}}


@dataclass(frozen=True, slots=True)
class Pack:
    """A policy pack. A topic is a module; every rule that a topic defines is in the pack."""

    name: str
    title: str
    platform: str
    topics: tuple[ModuleType, ...]

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(
            value
            for topic in self.topics
            for value in vars(topic).values()
            if isinstance(value, Rule)
        )


UNJUDGED = Rule(
    slug=COULD_NOT_BE_JUDGED,
    title="Every rule could be judged.",
    risk="A preview looks clean only because values are still unknown. The report names the rule, the resource "
    "and the property, and shows no value. It is never stricter than the rule that could not be judged.",
    fix="Make the value known at preview: write it out, or read it from config. Or judge the state after `up` with "
    "`strata policy audit --stack STACK`. In CI, make this rule mandatory: "
    '`{"could-not-be-judged": "mandatory"}` in the configuration of the pack.',
    severity="medium",
    prod=ADVISORY,
    accepts=is_type(),
)
