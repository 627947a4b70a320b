"""Generates docs/policies and the files with the levels from the rules."""

import json
from pathlib import Path

from strata.policies.crossguard.rule import UNJUDGED, Pack, Rule
from strata.policies.packs import FOLDER, PACKS, configuration_text

ROOT = FOLDER.parent
PAGES = ROOT / "docs" / "policies"
INTRODUCTION = FOLDER / "introduction.md"
NOTE = "<!-- Generated from the rules by `strata policy docs`. Don't edit: a test fails. -->"


def pages() -> dict[Path, str]:
    """Every generated file with its expected content."""
    return {
        **{FOLDER / f"{name}.json": configuration_text(name) for name in ("dev", "prod")},
        PAGES / "README.md": index(),
        **{PAGES / f"{pack.name}.md": page(pack) for pack in PACKS},
    }


def index() -> str:
    """The introduction, and every rule in one line."""
    parts = [NOTE, "", INTRODUCTION.read_text()]
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
