"""The commands: ``python -m strata.policies check | audit STACK | docs | mutation``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from strata.policies import checking, documentation
from strata.policies.checking import CheckError, Report
from strata.policies.packs import ROOT


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; the result is the process's exit status."""
    parser = argparse.ArgumentParser(prog="python -m strata.policies", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="preview every system on every stack with the packs")
    check.add_argument("--system", action="append", help="only this system (may be repeated)")
    check.add_argument("--stack", action="append", help="only this stack (may be repeated)")
    audit = commands.add_parser("audit", help="judge the state of a stack as it stands")
    audit.add_argument("stack")
    for command in (check, audit):
        command.add_argument(
            "--strict", action="store_true", help="fail on what could not be judged as well"
        )
        command.add_argument("--markdown", type=Path, help="write the result to this file as well")
    docs = commands.add_parser("docs", help="write docs/policies and the levels from the rules")
    docs.add_argument("--check", action="store_true", help="only say what is stale")
    mutation = commands.add_parser("mutation", help="break each rule and see that a test notices")
    mutation.add_argument("--survivors", action="store_true", help="list what no test noticed")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "check":
            return run_check(chosen)
        if chosen.command == "audit":
            return tell([checking.audit(chosen.stack, chosen.strict)], chosen.markdown)
        if chosen.command == "docs":
            return write_docs(only_check=chosen.check)
        from tests.policies.mutation import report

        return report(survivors=chosen.survivors)
    except CheckError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def run_check(chosen: argparse.Namespace) -> int:
    """Previews what was asked for, one after the other, saying each result as it comes."""
    reports: list[Report] = []
    for stack in chosen.stack or checking.stacks():
        for system in chosen.system or checking.systems():
            print(f"{system} on {stack} ...", flush=True)
            reports.append(checking.check(system, stack, chosen.strict))
    if not reports:
        raise CheckError("There is no system or no stack to check.")
    return tell(reports, chosen.markdown)


def tell(reports: list[Report], markdown: Path | None) -> int:
    """Prints the findings and the table; 0 if every report passed."""
    lines: list[str] = []
    for report in reports:
        if report.lines or report.output:
            lines += [f"### {report.subject}", "", "```"]
            lines += [*report.lines, *([report.output.strip()] if report.output else []), "```", ""]
    lines += [*checking.HEADING, *(report.row() for report in reports)]
    print("\n".join(lines))
    if markdown:
        markdown.write_text("\n".join(lines) + "\n")
    return 0 if all(report.passed for report in reports) else 1


def write_docs(only_check: bool) -> int:
    """Writes the pages, or says which are stale."""
    changed = documentation.stale() if only_check else documentation.write()
    for file in changed:
        print(f"{'stale' if only_check else 'wrote'} {file.relative_to(ROOT)}")
    if only_check and changed:
        print("Run `python -m strata.policies docs`.", file=sys.stderr)
    return 1 if only_check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
