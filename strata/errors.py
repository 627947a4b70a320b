"""What a person is told when a description cannot be carried out."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, where it stands, and what to do about it.

    `path` is the configuration key (`strata:ports.http`) or, for what a program says, the
    service and field (`service api: links[0]`).
    """

    path: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}\n    {self.fix}"


class InvalidStackError(Exception):
    """Everything that is wrong with a description, reported at once, before anything changes."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{title}; nothing was changed.\n{lines}")


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raises `InvalidStackError` if there is any mistake."""
    found = tuple(problems)
    if found:
        raise InvalidStackError(found)
