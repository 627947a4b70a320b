"""What a component may ask of a platform."""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

import pulumi

from workload import Job, Service

STATUS_SHOWN = 32
"""The exit status by which a program tells Pulumi that it has shown the person what is wrong; for
any other, Pulumi adds an error of its own (pulumi-language-python-exec)."""


def give_up(error: Exception) -> NoReturn:
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

    def run(self, service: Service, parent: pulumi.Resource) -> None:
        """Takes a service into the stack; its resources become children of `parent`."""
        ...

    def run_job(self, job: Job, parent: pulumi.Resource) -> None:
        """Takes a job into the stack, once or by its schedule, in the same way."""
        ...

    def deploy(self) -> Deployment:
        """Checks the stack, then makes it. Raises `MistakesError` before anything is made."""
        ...
