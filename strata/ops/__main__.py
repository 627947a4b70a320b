"""`python -m strata.ops backup FOLDER` and `python -m strata.ops restore FOLDER`, for stacks on Docker."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from docker.errors import DockerException
from requests.exceptions import RequestException
from rich.console import Console

from strata.model import InvalidStackError
from strata.ops import backup as backing
from strata.ops import manifest
from strata.ops import restore as restoring
from strata.ops.errors import BrokenOffError, OpsError
from strata.ops.guard import alone, interrupt_on_signals
from strata.ops.manifest import Manifest
from strata.ops.report import MB, Report
from strata.ops.stack import Stack, open_stack

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True, highlight=False)

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]
StackName = Annotated[str, typer.Option("--stack", help="The stack, as Pulumi calls it.")]


@app.command()
def backup(folder: Folder, stack: StackName = "dev") -> None:
    """Back up every volume with data. The services are stopped while their volumes are read."""
    done = _run(backing.backup, stack, folder)
    size_bytes = sum(one.bytes for one in done.archives)
    count = len(done.archives)
    print(f"backup of {done.stack}: {count} volumes, {size_bytes / MB:.1f} MB, in {folder}")


@app.command()
def restore(folder: Folder, stack: StackName = "dev") -> None:
    """Replace the content of the volumes by a backup, compared with what was backed up."""
    done = _run(restoring.restore, stack, folder)
    print(
        f"restored {len(done.archives)} volumes of {stack} as they were in {done.stack} on"
        f" {manifest.when(done.created)}"
    )


def _run(command: Callable[[Stack, Path, Report], Manifest], stack: str, folder: Path) -> Manifest:
    interrupt_on_signals()
    try:
        opened = open_stack(stack)
        with alone(opened.names):
            return command(opened, folder.absolute(), Report(Console(highlight=False)))
    except BrokenOffError as error:
        raise _ended(error, 130) from None
    except KeyboardInterrupt:
        raise _ended("interrupted; nothing was changed", 130) from None
    except (InvalidStackError, OpsError, DockerException, RequestException) as error:
        raise _ended(error, 1) from None


def _ended(error: object, status: int) -> typer.Exit:
    errors.print(f"error: {error}", markup=False, soft_wrap=True)
    return typer.Exit(status)


if __name__ == "__main__":
    app()
