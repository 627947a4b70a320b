"""Backup and restore of a stack on Docker: `strata backup`, `strata restore` and `strata backups`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from strata import docker_engine
from strata.errors import OpsInterruptedError

if TYPE_CHECKING:
    from strata.ops.encryption import BackupKey
    from strata.ops.running_stack import RunningStack

Done = TypeVar("Done")


def run(command: "Callable[[RunningStack, BackupKey], Done]", stack: str) -> Done:
    """Runs a command on a stack of the project in the current folder, with the key of its backups."""
    # Imported here: the other commands need none of Docker's SDK for a stack on a cluster.
    from strata.ops.guard import alone, interrupt_on_signals
    from strata.ops.running_stack import open_stack

    interrupt_on_signals()
    try:
        with docker_engine.errors(f"stack {stack}: Docker failed"):
            opened, key = open_stack(stack)
            with alone(opened.names):
                return command(opened, key)
    except KeyboardInterrupt:
        raise OpsInterruptedError("interrupted; nothing was changed") from None
