"""Every rule with good, bad, unknown, secret and exempt resources, and exact sets of findings."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import Any

import pytest

from strata.policies.crossguard.rule import EXEMPTIONS, Rule
from strata.policies.crossguard.values import SIGNATURE_KEY
from tests.policies.policy_suites import SUITES
from tests.policies.policy_testing import (
    Case,
    Suite,
    changed,
    findings,
    messages_match,
    not_judged,
    secret,
    texts,
    violations,
)

CASES = [
    pytest.param(suite, case, id=f"{suite.pack.platform}:{case.label}")
    for suite in SUITES
    for case in suite.cases
]
BROKEN = [
    pytest.param(suite, case, id=f"{suite.pack.platform}:{case.label}")
    for suite in SUITES
    for case in suite.cases
    if case.finds
]


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.pack.name)
def test_the_fixture_passes_every_rule(suite: Suite) -> None:
    found = findings(suite.pack.rules, suite.fixture)
    assert (violations(found), not_judged(found)) == (frozenset(), frozenset())


@pytest.mark.parametrize(("suite", "case"), CASES)
def test_a_change_brings_up_exactly_what_it_should(suite: Suite, case: Case) -> None:
    found = findings(suite.pack.rules, changed(suite.fixture, case.change), case.settings)
    assert (violations(found), not_judged(found)) == (case.finds, case.unjudged)
    assert messages_match(found, case)


@pytest.mark.parametrize(("suite", "case"), BROKEN)
def test_what_is_marked_secret_is_judged_and_not_shown(suite: Suite, case: Case) -> None:
    """With every property marked secret, the findings are the same and no value is shown."""
    made = changed(suite.fixture, case.change)
    hidden = copy.deepcopy(made)
    for resource in hidden.values():
        resource.properties = {
            key: value if is_marked(value) else secret(value)
            for key, value in resource.properties.items()
        }
    found = findings(suite.pack.rules, hidden, case.settings)
    # This test marks lists of variables secret, which is itself a finding.
    assert violations(found) - marked(found) == case.finds - marked(found)
    shown = " ".join(one.message for one in found)
    values = {text for one in made.values() for text in texts(one.properties) if len(text) > 5}
    own = own_words(suite)
    assert not [value for value in values if value in shown and value not in own]


def is_marked(value: Any) -> bool:
    return isinstance(value, dict) and SIGNATURE_KEY in value


def marked(found: Any) -> frozenset[str]:
    return frozenset(one for one in violations(found) if one.startswith("env-secrets/marked"))


def own_words(suite: Suite) -> str:
    """The text of the rules, and the names of resources."""
    folder = Path(inspect.getfile(suite.pack.topics[0])).parent
    files = [*folder.glob("*.py"), *folder.parent.glob("*.py")]
    return " ".join([*(file.read_text() for file in files), *suite.fixture])


# A finding about the whole stack names no resource to exempt.
NAMED = [one for one in BROKEN if min(one.values[1].finds).partition("@")[2]]  # type: ignore[union-attr]


@pytest.mark.parametrize(("suite", "case"), NAMED)
def test_an_exemption_lets_pass_only_with_reason_and_date(suite: Suite, case: Case) -> None:
    fixture = changed(suite.fixture, case.change)
    target = min(case.finds)
    slug, _, rest = target.partition("/")
    name = rest.partition("@")[2]
    others = {
        one for one in case.finds if not (one.startswith(f"{slug}/") and one.endswith(f"@{name}"))
    }

    def judge(**entry: str) -> Any:
        given = {**case.settings.get(slug, {}), "exemptions": [{"name": name, **entry}]}
        return findings(suite.pack.rules, fixture, {**case.settings, slug: given})

    valid = judge(reason="agreed", expires="2026-06-30")
    assert violations(valid) == others
    assert {one.rule for one in valid if one.kind == "exempt"} == {slug}
    assert all("agreed" in one.message for one in valid if one.kind == "exempt")
    invalid = frozenset({f"{slug}/exemption@{name}"})
    assert violations(judge(reason="agreed", expires="2026-06-29")) == case.finds | invalid
    assert violations(judge(reason=" ", expires="2026-12-31")) == case.finds | invalid
    assert violations(judge(expires="2026-12-31")) == case.finds | invalid
    assert violations(judge(reason="agreed")) == case.finds | invalid
    assert violations(judge(reason="agreed", expires="soon")) == case.finds | invalid


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.pack.name)
def test_every_rule_has_a_bad_and_an_unknown_case(suite: Suite) -> None:
    slugs = {rule.slug for rule in suite.pack.rules}
    broken = {one.partition("/")[0] for case in suite.cases for one in case.finds}
    unjudged = {one.partition("@")[0] for case in suite.cases for one in case.unjudged}
    assert slugs - broken == set()
    assert slugs - unjudged - suite.never_unknown == set()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.pack.name)
def test_records_are_whole(suite: Suite) -> None:
    slugs = [rule.slug for rule in suite.pack.rules]
    assert len(slugs) == len(set(slugs))
    for rule in suite.pack.rules:
        assert {rule.title[-1], rule.risk[-1], rule.fix[-1]} == {"."}, rule.slug
        assert check_schema(rule) == []


def check_schema(rule: Rule) -> list[str]:
    kinds = {"array": list, "string": str, "integer": int, "boolean": bool, "object": dict}
    return [
        name
        for name, schema in rule.schema().items()
        if schema is not EXEMPTIONS
        and not (isinstance(schema["default"], kinds[schema["type"]]) and schema["description"])
    ]
