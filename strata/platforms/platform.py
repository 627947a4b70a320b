"""What a component may ask of a platform."""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import pulumi

from strata.model import Workload

STATUS_SHOWN = 32
"""The exit status by which a program tells Pulumi that it has shown the person what is wrong; for
any other, Pulumi adds an error of its own (pulumi-language-python-exec)."""


def fail(error: Exception) -> NoReturn:
    """Shows what is wrong and ends the program, with nothing said beside it."""
    pulumi.log.error(str(error))
    # What was under way is dropped on purpose; Python would tell the person of each part of it.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    sys.exit(STATUS_SHOWN)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a stack shows when it is up: plain values and outputs, by the name they go under."""

    outputs: Mapping[str, pulumi.Input[Any]]


class Platform(Protocol):
    """Turns services, jobs and links into resources.

    Components hand over their services and jobs as they are composed; nothing is made before `deploy`,
    which first checks the whole and reports every mistake at once.
    """

    def add(self, workload: Workload, parent: pulumi.Resource) -> None:
        """Takes a service or a job into the stack; its resources become children of `parent`."""
        ...

    def deploy(self) -> Deployment:
        """Checks the stack, then makes it. Raises `InvalidStackError` before anything is made."""
        ...
