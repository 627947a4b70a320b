"""The generated pages and levels match the rules."""

from __future__ import annotations

import json

import pytest

from strata.policies import documentation
from strata.policies.crossguard.rule import COULD_NOT_BE_JUDGED
from strata.policies.documentation import PAGES, ROOT
from strata.policies.packs import FOLDER, PACKS, configuration


def test_no_page_is_stale() -> None:
    stale = [str(file.relative_to(ROOT)) for file in documentation.stale()]
    assert stale == [], "run `strata policy docs`"


def test_every_rule_is_on_its_page() -> None:
    pages = documentation.pages()
    for pack in PACKS:
        page = pages[PAGES / f"{pack.name}.md"]
        for rule in pack.rules:
            assert f"## {rule.slug}\n" in page
            assert rule.risk in page
            assert rule.fix in page


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_rules_of_one_name_share_their_level(stack: str) -> None:
    """One file sets the levels of all packs, so a name has one level."""
    levels = configuration(stack, {})
    for pack in PACKS:
        for rule in pack.rules:
            own = rule.dev if stack == "dev" else rule.prod
            assert levels[rule.slug] == own, (pack.name, rule.slug)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_nothing_is_switched_off(stack: str) -> None:
    """No level is `disabled` or `remediate`, and every exemption has a reason and a date."""
    levels = json.loads((FOLDER / f"{stack}.json").read_text())
    slugs = {rule.slug for pack in PACKS for rule in pack.rules} | {COULD_NOT_BE_JUDGED}
    assert set(levels) == slugs
    for slug, value in levels.items():
        given = value if isinstance(value, dict) else {"enforcementLevel": value}
        assert given["enforcementLevel"] in {"advisory", "mandatory"}, slug
        for exemption in given.get("exemptions", []):
            assert exemption["reason"].strip(), slug
            assert exemption["expires"], slug


def test_writing_the_levels_keeps_settings_and_exemptions() -> None:
    kept = {"enforcementLevel": "advisory", "exemptions": [{"name": "x"}], "seconds": 5}
    made = configuration("prod", {"graceful-stop": kept, "no-such-rule": "mandatory"})
    assert made["graceful-stop"] == {**kept, "enforcementLevel": "mandatory"}
    assert "no-such-rule" not in made
