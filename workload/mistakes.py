"""What a person is told when a description cannot be carried out."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing that is wrong, where it stands, and what to do about it.

    `path` is the configuration key (`strata:ports.http`) or, for what a program says, the
    service and field (`service api: links[0]`).
    """

    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}\n    {self.remedy}"


class MistakesError(Exception):
    """Everything that is wrong with a description, reported at once, before anything changes."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        count = len(self.mistakes)
        title = "1 mistake" if count == 1 else f"{count} mistakes"
        lines = "\n".join(f"  {mistake}" for mistake in self.mistakes)
        super().__init__(f"{title}; nothing was changed.\n{lines}")


def refuse(mistakes: Iterable[Mistake]) -> None:
    """Raises `MistakesError` if there is any mistake."""
    found = tuple(mistakes)
    if found:
        raise MistakesError(found)
