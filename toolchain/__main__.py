"""`python -m toolchain`: what the targets of the Makefile run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from strata.console import info
from strata.errors import exit_on_error
from toolchain import checks, clean, layers, repair, stack, steps
from toolchain import preview as previews
from toolchain.layout import DEV, here

Layer = Annotated[str, typer.Option(help="Only the tests of this folder of tests/, without lint.")]


class _Commands(TyperGroup):
    """Reports the errors of every command, before Typer sees an interrupt."""

    def invoke(self, ctx: Any) -> Any:
        with exit_on_error("Interrupted. Run the same command again to resume."):
            return super().invoke(ctx)


application = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@application.command()
def up() -> None:
    """Set up what is missing, build the images, and bring the dev stack up."""
    layout = here()
    ready = steps.ensure(layout)
    steps.build_images(layout, ready)
    stack.become(layout, ready.environment, DEV, "up", "--yes", "--skip-preview")


@application.command()
def setup(name: Annotated[str, typer.Option("--stack")] = DEV) -> None:
    """Set up what is missing for a stack, and no more: then `source .toolchain/env`."""
    steps.ensure(here(), name)
    command = "up" if name == DEV else "preview"
    info(
        f"Ready. `source .toolchain/env` makes the plain commands work: pulumi {command} --stack {name}"
    )


@application.command()
def preview(name: Annotated[str, typer.Option("--stack")] = DEV) -> None:
    """Set up what is missing for a stack, and preview it with its policy packs."""
    layout = here()
    ready = steps.ensure(layout, name)
    raise typer.Exit(previews.preview(layout, ready.environment, name))


@application.command("push")
def push_images(
    name: Annotated[str, typer.Option("--stack")],
    images: Annotated[list[str] | None, typer.Argument(help="Others besides our own.")] = None,
) -> None:
    """Push the images of a stack to its registry, and note their digests in its file."""
    # Imported here: it brings the systems along, and to push is rare.
    from toolchain import push

    push.push(here(), name, images or [])


@application.command()
def down() -> None:
    """Destroy the dev stack; set-up and images stay."""
    layout = here()
    if not stack.exists(layout, DEV):
        info("There is no stack: nothing to destroy.")
        return
    ready = steps.ensure(layout)
    stack.become(layout, ready.environment, DEV, "destroy", "--yes", "--skip-preview")


@application.command("repair", hidden=True)
def repair_state() -> None:
    """Repair what a killed run left (the wrapper of the CLI calls it before `destroy`)."""
    removed = repair.repair(here())
    print(
        f"Repaired after an interrupted pulumi run: {removed} leftovers removed.", file=sys.stderr
    )


@application.command()
def images() -> None:
    """Set up what is missing and build every image but those on demand."""
    layout = here()
    steps.build_images(layout, steps.ensure(layout))


@application.command()
def bench() -> None:
    """Set up what is missing and run the benchmarks."""
    layout = here()
    ready = steps.ensure(layout)
    steps.build_images(layout, ready)
    command = [str(layout.test_venv / "bin" / "python"), "-m", "benchmarks"]
    raise typer.Exit(
        subprocess.run(command, cwd=layout.root, env=ready.environment, check=False).returncode
    )


@application.command()
def test(layer: Layer = "") -> None:  # noqa: PT028 (a command, not a test)
    """Set up what is missing and run every check; pytest's summary comes last."""
    layout = here()
    if layer:
        folder = checks.layer_folder(layout, layer)
    ready = steps.ensure(layout)
    if layer:
        layers.ensure(layout, layer)
        checks.become_pytest(layout, ready.environment, str(folder))
    # Cheap checks before what takes minutes.
    checks.lint(layout, ready.environment)
    steps.build_images(layout, ready)
    layers.ensure(layout)
    checks.become_pytest(layout, ready.environment)


@application.command()
def lint() -> None:
    """Format, lint and strict types."""
    checks.lint(here(), dict(os.environ))


@application.command("format")
def format_code() -> None:
    """Write every file as the formatter wants it."""
    checks.format_code(here(), dict(os.environ))


@application.command("clean")
def clean_up() -> None:
    """Take back what set-up made, and nothing else."""
    clean.clean(here())


if __name__ == "__main__":
    application()
