"""The errors of Strata. Each has a message for a person and a fix. Standard library only: set-up
imports this module before any environment exists."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar


class StrataError(Exception):
    """What is wrong, and the fix, in the imperative."""

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(f"{message}\n    {fix}" if fix else message)
        self.message = message
        self.fix = fix


@dataclass(frozen=True, order=True)
class Problem:
    """One problem of a description.

    `path` is the configuration key (`strata:ports.http`), or the service and field in a program
    (`service api: links[0]`).
    """

    path: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}\n    {self.fix}"


class InvalidStackError(StrataError):
    """All problems of a description, reported at once, before anything changes."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        count = len(self.problems)
        title = "1 problem" if count == 1 else f"{count} problems"
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{title}; nothing was changed.\n{lines}")


class DockerError(StrataError):
    """The Docker engine does not answer, or a call to it failed."""


class NotReadyError(StrataError):
    """A container that an update waits for can't become ready."""


class ClusterError(StrataError):
    """The cluster does not answer, or a call to it failed."""


class ImageError(StrataError):
    """An image is unknown, or can't be built, pulled or pushed."""


class MissingRepositoryError(ImageError):
    """The registry has no repository for an image; the caller may create it."""

    exit_status = 3


class OpsError(StrataError):
    """A backup, restore or restart failed after it changed something. The error includes the state
    that the stack is left in."""


class OpsInterruptedError(OpsError):
    """A backup or restore was interrupted by a signal."""

    exit_status = 130


class SetupError(StrataError):
    """Set-up of the checkout failed."""


class EngineError(StrataError):
    """The Pulumi CLI is missing, or a command of it failed. Status 1 means that it ran, and that the
    policy packs rejected the stack."""

    exit_status = 2


class BenchmarkError(StrataError):
    """A benchmark can't be measured."""


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raises `InvalidStackError` if there is any problem."""
    collected = tuple(problems)
    if collected:
        raise InvalidStackError(collected)


def reason(error: BaseException) -> str:
    """Why a call failed, in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


@contextmanager
def exit_on_error(interrupted: str = "interrupted") -> Iterator[None]:
    """Prints an error to stderr and exits with its status; exits with 130 on Ctrl-C."""
    try:
        yield
    except StrataError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        print(f"\n{interrupted}", file=sys.stderr)
        sys.exit(130)
