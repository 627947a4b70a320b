"""The commands of `strata policy`. Each returns whether everything passed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from strata.errors import CheckError
from strata.policies import checking, documentation
from strata.policies.checking import Report
from strata.policies.packs import ROOT


def check(
    systems: Sequence[str], stacks: Sequence[str], *, strict: bool, markdown: Path | None
) -> bool:
    """Previews the systems (by default all) on the stacks (by default all) with their packs."""
    reports: list[Report] = []
    for stack in stacks or checking.stacks():
        for system in systems or checking.systems():
            print(f"{system} on {stack} ...", flush=True)
            reports.append(checking.check(system, stack, strict))
    if not reports:
        raise CheckError("there is no system or no stack to check", "run this in the checkout")
    return _print(reports, markdown)


def audit(stack: str, *, strict: bool, markdown: Path | None) -> bool:
    """Judges the state of a stack."""
    return _print([checking.audit(stack, strict)], markdown)


def _print(reports: Sequence[Report], markdown: Path | None) -> bool:
    """Prints the findings and a table of the results."""
    lines: list[str] = []
    for report in reports:
        if report.lines or report.output:
            lines += [f"### {report.subject}", "", "```"]
            lines += [*report.lines, *([report.output.strip()] if report.output else []), "```", ""]
    lines += [*checking.HEADING, *(report.row() for report in reports)]
    print("\n".join(lines))
    if markdown:
        markdown.write_text("\n".join(lines) + "\n")
    return all(report.passed for report in reports)


def write_docs(*, only_check: bool) -> bool:
    """Writes the pages and levels, or prints those that are stale."""
    changed = documentation.stale() if only_check else documentation.write()
    for file in changed:
        print(f"{'stale' if only_check else 'wrote'} {file.relative_to(ROOT)}")
    return not (only_check and changed)
