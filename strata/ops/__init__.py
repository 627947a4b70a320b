"""Backup and restore of a stack on Docker: `strata backup`, `strata restore` and `strata backups`."""

from collections.abc import Callable
from typing import TypeVar

from strata import docker_engine
from strata.errors import OpsInterruptedError
from strata.ops.guard import alone, interrupt_on_signals
from strata.ops.running_stack import RunningStack, open_stack

Done = TypeVar("Done")


def run(command: Callable[[RunningStack], Done], stack: str) -> Done:
    """Runs a command on a stack of the project in the current folder."""
    interrupt_on_signals()
    try:
        with docker_engine.errors(f"stack {stack}: Docker failed"):
            opened = open_stack(stack)
            with alone(opened.names):
                return command(opened)
    except KeyboardInterrupt:
        raise OpsInterruptedError("interrupted; nothing was changed") from None
