"""docs/faults.md as text, and what its table says of which test."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.project import REPOSITORY

PAGE = REPOSITORY / "docs/faults.md"
FOLDERS = ("tests/docker", "tests/toolchain", "tests/kubernetes")


@dataclass(frozen=True)
class Fault:
    """One row: what a test does, what holds after it, and the test as `file::function`."""

    fault: str
    holds: str
    test: str


@dataclass
class Result:
    """What the runs of a test were: one for each of its parameters."""

    passed: int = 0
    failed: int = 0
    recovery_seconds: list[float] = field(default_factory=list)
    acknowledged: int = 0


def faults(repository: Path = REPOSITORY) -> Iterator[Fault]:
    """The faults of all tests, read from their source: importing them needs every SDK."""
    for folder in FOLDERS:
        for file in sorted((repository / folder).glob("test_*.py")):
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, ast.FunctionDef):
                    test = f"{file.relative_to(repository)}::{node.name}"
                    yield from _of(node, test)


def _of(function: ast.FunctionDef, test: str) -> Iterator[Fault]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
            (holds,) = (word.value for word in decorator.keywords if word.arg == "holds")
            for argument in decorator.args:
                yield Fault(ast.literal_eval(argument), ast.literal_eval(holds), test)


def rows(text: str) -> set[tuple[str, str, str]]:
    """The fault, what holds, and the test of each row of the page."""
    found = re.findall(
        r"^\| (.+?) \| (.+?) \| .* \| \[[^]]+\]\(\.\./(\S+?)\) \|$", text, re.MULTILINE
    )
    return {(fault, holds, file) for fault, holds, file in found}


def expected_rows(known: Iterable[Fault]) -> set[tuple[str, str, str]]:
    return {(one.fault, one.holds, one.test.split("::")[0]) for one in known}


def text(known: Iterable[Fault], results: dict[str, Result], measured: str) -> str:
    """The page. `measured`: the date and the machine."""
    acknowledged = sum(result.acknowledged for result in results.values())
    lines = [
        "# Faults",
        "",
        "What was done to running stacks, and what held. `python -m tests.faults` runs these tests and"
        " writes this page;",
        "CI runs them too. A recovery takes from the fault, or from its end where it lasts, until the"
        " service responds again.",
        "",
        f"{measured} The clients of these runs got {acknowledged} writes acknowledged, and none was lost.",
        "",
        "| fault | what holds | runs | slowest recovery | verdict | test |",
        "|---|---|---|---|---|---|",
    ]
    for one in known:
        result = results[one.test]
        slowest = f"{max(result.recovery_seconds):.0f} s" if result.recovery_seconds else ""
        file, name = one.test.split("::")
        lines.append(
            f"| {one.fault} | {one.holds} | {result.passed + result.failed} | {slowest}"
            f" | {'failed' if result.failed else 'held'} | [{name}](../{file}) |"
        )
    return "\n".join(lines) + "\n"
