"""Generates docs/policies and the files with the levels from the rules."""

import json
from pathlib import Path

from strata.policies.crossguard.rule import UNJUDGED, Pack, Rule
from strata.policies.packs import FOLDER, PACKS, configuration_text, level_file

ROOT = FOLDER.parent
PAGES = ROOT / "docs" / "policies"
NOTE = "<!-- Generated from the rules by `strata policy docs`. Don't edit: a test fails. -->"

INTRODUCTION = """# Policies

Three CrossGuard packs reject resources that aren't hardened. They need only the Pulumi SDK and work
with any Pulumi program:

    pulumi preview --policy-pack policies/docker-hardening
    pulumi preview --policy-pack policies/docker-hardening --policy-pack-config policies/dev.json

**In your own program.** Clone this repository next to your program, and preview the program with a
pack:

    git clone --depth 1 ADDRESS-OF-THIS-REPOSITORY strata
    pulumi preview --policy-pack strata/policies/kubernetes-hardening

A pack runs in the `python3` of the PATH, which needs only the package `pulumi`. Activate the virtual
environment of your program, or set it in `PulumiPolicy.yaml` (`runtime: {name: python, options:
{virtualenv: ...}}`). If your program is in another language, run `pip install pulumi`. `pulumi up`
takes the same option. `tests/foreign` has small programs that pass, written with the plain SDKs.

**Levels.** Without a configuration, the prod levels apply. `policies/dev.json` and
`policies/prod.json` set the levels, settings and exemptions of all packs for a stack.

**Exemptions.** Each rule takes `exemptions`: the name or URN of a resource, a reason, and the last
day. The finding stays visible as an advisory with its reason. An exemption without a reason, or past
its date, is a violation.

    {"readonly-root": {"enforcementLevel": "mandatory", "exemptions": [
      {"name": "legacy", "reason": "writes its license next to itself", "expires": "2026-12-31"}]}}

**Unknown values.** A preview judges what is known. The rest is reported as `could-not-be-judged`, with
the rule, resource and property, but no value. Set `"could-not-be-judged": "mandatory"` to make the
preview fail on it.

**After `up`.** `strata policy audit --stack STACK` judges the state, where all values are known.

**Secrets.** Secrets are judged like other values. No message contains the value of a property.

**Remediation.** A rule can fix a resource only at the level `remediate`, which you set yourself.

**Limits.** Rules can't see `retainOnDelete`, nor what a Helm release renders: it shows only its
values. The Docker provider can't limit the processes of a container; `ulimits` limits them by user.
"""


def pages() -> dict[Path, str]:
    """Every generated file with its expected content."""
    return {
        **{level_file(stack): configuration_text(stack) for stack in ("dev", "prod")},
        PAGES / "README.md": index(),
        **{PAGES / f"{pack.name}.md": page(pack) for pack in PACKS},
    }


def index() -> str:
    """The introduction, and every rule in one line."""
    parts = [NOTE, "", INTRODUCTION]
    for pack in PACKS:
        parts += [f"## [{pack.title}]({pack.name}.md)", ""]
        parts += ["| rule | requirement | severity | dev | prod |", "|---|---|---|---|---|"]
        parts += [
            f"| [{rule.slug}]({pack.name}.md#{rule.slug}) | {rule.title} | {rule.severity} "
            f"| {rule.dev} | {rule.prod} |"
            for rule in pack.rules
        ]
        parts.append("")
    return "\n".join(parts)


def page(pack: Pack) -> str:
    """The page of a pack: each rule with its risk, fix and settings."""
    parts = [NOTE, "", f"# {pack.title}", ""]
    for topic in pack.topics:
        parts += [f"*{(topic.__doc__ or '').strip().splitlines()[0]}*", ""]
        for rule in vars(topic).values():
            if isinstance(rule, Rule):
                parts += section(rule)
    return "\n".join([*parts, *section(UNJUDGED)])


def section(rule: Rule) -> list[str]:
    """One rule of a page."""
    facts = [f"severity {rule.severity}", f"dev {rule.dev}", f"prod {rule.prod}"]
    facts.append("judges the whole stack" if rule.is_stack_rule else "judges one resource")
    if rule.remediation:
        facts.append("can be fixed at level `remediate`")
    if rule.references:
        facts.append("implements " + ", ".join(rule.references))
    parts = [f"## {rule.slug}", "", f"**{rule.title}**", "", " · ".join(facts), ""]
    parts += [f"Risk: {rule.risk}", "", f"Fix: {rule.fix}", ""]
    for name, schema in rule.settings.items():
        default = json.dumps(schema["default"])
        parts.append(f"- `{name}` ({schema['type']}): {schema['description']} Default: `{default}`")
    return [*parts, ""] if rule.settings else parts


def write() -> list[Path]:
    """Writes the missing and stale files. Returns their paths."""
    expected, changed = pages(), stale()
    for file in changed:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(expected[file])
    return changed


def stale() -> list[Path]:
    """The files that are missing or don't match the rules."""
    expected = pages().items()
    return [file for file, text in expected if not file.exists() or file.read_text() != text]
