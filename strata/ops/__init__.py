"""Backup and restore of a stack on Docker: `strata backup` and `strata restore`."""

from collections.abc import Callable
from pathlib import Path

from strata import docker_engine
from strata.errors import OpsInterruptedError
from strata.ops.guard import alone, interrupt_on_signals
from strata.ops.manifest import Manifest
from strata.ops.running_stack import RunningStack, open_stack


def run(command: Callable[[RunningStack, Path], Manifest], stack: str, folder: Path) -> Manifest:
    """Runs `backup` or `restore` on a stack of the project in the current folder."""
    interrupt_on_signals()
    try:
        with docker_engine.errors(f"stack {stack}: Docker failed"):
            opened = open_stack(stack)
            with alone(opened.names):
                return command(opened, folder.absolute())
    except KeyboardInterrupt:
        raise OpsInterruptedError("interrupted; nothing was changed") from None
