"""The one error that set-up shows to a person. Standard library only."""

from __future__ import annotations


class SetupError(Exception):
    """What is wrong and where, and what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}\n  What to do: {remedy}")
        self.problem = problem
        self.remedy = remedy
