"""The commands on policies. Each prints its result and returns an exit status."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from strata.console import info
from strata.engine import Report
from strata.errors import EngineError
from strata.policies import checking, documentation

HEADING = ("| system and stack | verdict | mandatory | advisory |", "|---|---|---|---|")


def check(
    *,
    systems: Sequence[str] = (),
    stacks: Sequence[str] = (),
    strict: bool = False,
    markdown: Path | None = None,
) -> int:
    """Previews systems on stacks with the packs; by default every system on every stack. With the
    installed package, it previews the program in the current folder."""
    reports: list[Report] = []
    for stack in stacks or checking.stacks():
        for system in systems or checking.systems():
            info(f"{system or checking.project_name()} on {stack} ...")
            reports.append(checking.preview(system, stack, strict=strict))
    if not reports:
        raise EngineError(
            "there is no system or no stack to check",
            "run the command in the folder with Pulumi.yaml and the files Pulumi.STACK.yaml",
        )
    return show(reports, markdown)


def audit(stack: str, *, strict: bool = False, markdown: Path | None = None) -> int:
    """Judges the state of a stack with the packs."""
    return show([checking.audit(stack, strict=strict)], markdown)


def write_docs(*, only_check: bool = False) -> int:
    """Writes docs/policies and the files of levels, or lists those that are stale."""
    changed = documentation.stale() if only_check else documentation.write()
    for file in changed:
        path = file.relative_to(documentation.ROOT)
        info(f"{'stale' if only_check else 'wrote'} {path}")
    if only_check and changed:
        info("Run `strata policy docs`.")
    return int(only_check and bool(changed))


def show(reports: Sequence[Report], markdown: Path | None) -> int:
    """Prints the findings and a table. Returns 0 if every report passed."""
    text = "\n".join(lines(reports))
    info(text)
    if markdown:
        markdown.write_text(text + "\n")
    return 0 if all(report.passed for report in reports) else 1


def lines(reports: Sequence[Report]) -> Iterator[str]:
    for report in reports:
        results = [str(result) for result in report.summary.results]
        output = [report.output.strip()] if report.output else []
        if results or output:
            yield from (f"### {report.subject}", "", "```", *results, *output, "```", "")
    yield from HEADING
    for report in reports:
        counts = f"{report.count('mandatory')} | {report.count('advisory')}"
        yield f"| {report.subject} | {report.verdict} | {counts} |"
