"""Writes docs/policies and the files of levels from the rules themselves."""

from __future__ import annotations

import json
from pathlib import Path

from strata.policies.crossguard.rule import Pack, Rule, could_not_be_judged
from strata.policies.packs import ROOT, all_packs, configuration_text, level_file

FOLDER = ROOT / "docs" / "policies"
NOTE = "<!-- Made from the rules by `strata policy docs`; a test fails when it is stale. -->"

INTRODUCTION = """# Policies

Three CrossGuard packs refuse what is not hardened. They need nothing but the Pulumi SDK, look at
plain property values, and judge any Pulumi program:

    pulumi preview --policy-pack policies/docker-hardening
    pulumi preview --policy-pack policies/docker-hardening --policy-pack-config policies/dev.json

**In a program of your own.** Two lines, in a project that has nothing else of this one: the
first brings the packs (of the repository only the folder `policies/` is used), the second previews
your program with one.

    git clone --depth 1 ADDRESS-OF-THIS-REPOSITORY strata
    pulumi preview --policy-pack strata/policies/kubernetes-hardening

A pack runs in the `python3` of the PATH, which needs the package `pulumi` and nothing else: activate
the virtual environment of your program, or name it in `PulumiPolicy.yaml` (`runtime: {name: python,
options: {virtualenv: ...}}`). With a program in another language, `pip install pulumi` suffices.
`pulumi up` takes the same option. Small programs with the plain SDKs, which pass, are in
`tests/foreign`.

Without a configuration the levels for production hold. `policies/dev.json` and
`policies/prod.json` set the levels of all packs for a stack, and are the place for settings and
exemptions.

**Exemptions.** Each rule takes `exemptions`: the resource's name (or URN), a reason, and the last
day it holds. The finding stays visible as an advisory with its reason. An exemption without a
reason, or past its date, is a violation that says so.

    {"readonly-root": {"enforcementLevel": "mandatory", "exemptions": [
      {"name": "legacy", "reason": "writes its licence beside itself", "expires": "2026-12-31"}]}}

**Unknown values.** What a preview does not know yet is judged as far as it is known; the rest is
reported as `could-not-be-judged`, by rule, resource and property, without any value. Setting
`"could-not-be-judged": "mandatory"` makes a preview fail on it.

**After `up`.** `strata policy audit --stack STACK` judges the state of a stack, where all is known.

**Secrets.** No message holds the value of a property. What is marked secret is judged the same.

**Fixes.** A rule that has one applies it only at the level `remediate`, which nothing sets for you.

**What no rule can see.** `retainOnDelete` is not shown to rules. A Helm release shows its values
and not what it renders. Docker has no limit on processes for each container (the provider lacks
it): `ulimits` bounds them by user.
"""


def pages() -> dict[Path, str]:
    """Every file that is made from the rules, with what it must hold."""
    made = {level_file(stack): configuration_text(stack) for stack in ("dev", "prod")}
    packs = all_packs()
    made[FOLDER / "README.md"] = index(packs)
    for pack in packs:
        made[FOLDER / f"{pack.name}.md"] = page(pack)
    return made


def index(packs: tuple[Pack, ...]) -> str:
    """The first page: how the packs work, and every rule in one line."""
    parts = [NOTE, "", INTRODUCTION]
    for pack in packs:
        parts += [f"## [{pack.title}]({pack.name}.md)", ""]
        parts += ["| rule | what holds | severity | dev | prod |", "|---|---|---|---|---|"]
        parts += [
            f"| [{rule.slug}]({pack.name}.md#{rule.slug}) | {rule.title} | {rule.severity} "
            f"| {rule.development} | {rule.production} |"
            for rule in pack.rules
        ]
        parts.append("")
    return "\n".join(parts)


def page(pack: Pack) -> str:
    """A pack's page: for each rule what it stops and how to comply."""
    parts = [NOTE, "", f"# {pack.title}", ""]
    for topic in pack.topics:
        rules = [value for value in vars(topic).values() if isinstance(value, Rule)]
        if rules:
            parts += [f"*{(topic.__doc__ or '').strip().splitlines()[0]}*", ""]
        for rule in rules:
            parts += section(rule)
    parts += section(could_not_be_judged())
    return "\n".join(parts)


def section(rule: Rule) -> list[str]:
    """One rule."""
    parts = [f"## {rule.slug}", "", f"**{rule.title}**", ""]
    facts = [f"severity {rule.severity}", f"dev {rule.development}", f"prod {rule.production}"]
    facts.append("looks at the whole stack" if rule.is_stack_rule else "looks at one resource")
    if rule.remedy:
        facts.append("can be fixed at level `remediate`")
    if rule.benchmark:
        facts.append("carries out " + ", ".join(rule.benchmark))
    parts += [" · ".join(facts), "", f"Stops: {rule.stops}", "", f"To comply: {rule.comply}", ""]
    for name, schema in rule.settings.items():
        default = json.dumps(schema["default"])
        parts.append(f"- `{name}` ({schema['type']}): {schema['description']} Default: `{default}`")
    if rule.settings:
        parts.append("")
    return parts


def write() -> list[Path]:
    """Writes every page that is missing or stale; gives their paths."""
    changed = stale()
    for file, content in pages().items():
        if file in changed:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    return changed


def stale() -> list[Path]:
    """The pages that do not say what the rules say."""
    return [
        file
        for file, content in pages().items()
        if not file.exists() or file.read_text() != content
    ]
