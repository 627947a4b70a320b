"""`python -m toolchain`: what the targets of the Makefile run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from strata import docker_engine
from strata.console import heading, info
from strata.errors import SetupError, exit_on_error
from toolchain import checks, clean, data, locks, preflight, repair, stack, steps
from toolchain import preview as previews
from toolchain.layout import DEV, here
from toolchain.registries import golang

StackName = Annotated[str, typer.Option("--stack", help="The Pulumi stack.")]
DeleteData = Annotated[bool, typer.Option("--delete-data", help="Delete volumes with data, too.")]
Layer = Annotated[str, typer.Option(help="Only the tests of this folder of tests/, without lint.")]

LOWEST_PRIORITY = 19
"""Of nice(1): health checks must not wait for what only needs the processor."""


class _Commands(TyperGroup):
    """Reports the errors of every command, before Typer sees an interrupt."""

    def invoke(self, ctx: Any) -> Any:
        with exit_on_error("Interrupted. Run the same command again to resume."):
            return super().invoke(ctx)


application = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@application.command()
def up(name: StackName = DEV) -> None:
    """Set up, build the images and bring a stack on Docker up."""
    layout = here()
    stack.require_docker(layout, name, "up")
    ready = steps.ensure(layout, name)
    steps.build_images(layout, ready)
    raise typer.Exit(stack.update(layout, ready.environment, name))


@application.command()
def setup(name: StackName = DEV) -> None:
    """Install what is missing for a stack: then `source .toolchain/env`."""
    steps.ensure(here(), name)
    command = "up" if name == DEV else "preview"
    info(f"Ready. Next: source .toolchain/env && pulumi {command} --stack {name}")


@application.command()
def preview(name: StackName = DEV) -> None:
    """Set up for a stack, and preview it with its policy packs."""
    layout = here()
    ready = steps.ensure(layout, name)
    raise typer.Exit(previews.preview(layout, ready.environment, name))


@application.command("push")
def push_images(
    name: Annotated[str, typer.Option("--stack")],
    images: Annotated[list[str] | None, typer.Argument(help="Images besides our own.")] = None,
) -> None:
    """Push the images of a stack to its registry, and write their digests to its settings."""
    # Imported here: it imports the systems, and pushes are rare.
    from toolchain import push

    push.push(here(), name, images or [])


@application.command()
def down(name: StackName = DEV, delete_data: DeleteData = False) -> None:
    """Destroy a stack on Docker. Set-up and images stay, and so do volumes with data."""
    layout = here()
    stack.require_docker(layout, name, "destroy")
    before = data.volumes(docker_engine.connect(), layout, name)
    if stack.exists(layout, name):
        ready = steps.ensure(layout, name)
        arguments = ("destroy", "--yes", "--skip-preview")
        if status := stack.run(layout, ready.environment, name, *arguments):
            raise typer.Exit(status)
    else:
        info(f"The stack {name} does not exist.")
    data.delete_or_name(layout, name, before, delete=delete_data)


@application.command("repair", hidden=True)
def repair_state(
    command: Annotated[list[str] | None, typer.Argument()] = None, leftovers: bool = False
) -> None:
    """Repair the local state after a killed run. Called by the wrapper of the CLI, with its arguments."""
    layout = here()
    killed, held = locks.remove_stale(repair.state_folder(layout))
    if killed and (orphans := locks.end_orphans(layout.folder)):
        processes = ", ".join(map(str, orphans))
        print(f"Ended plugins of a pulumi run that was killed ({processes}).", file=sys.stderr)
    for pid in killed:
        print(f"Removed the lock of a pulumi run that was killed (process {pid}).", file=sys.stderr)
    if leftovers and not held:
        name = preflight.stack_of(command or (), layout.root, os.environ)
        removed = repair.repair(layout, name)
        if removed is not None:
            print(
                f"Repaired {name} after a pulumi run that was killed: {removed} leftovers removed.",
                file=sys.stderr,
            )


@application.command()
def images() -> None:
    """Set up, and build all images except on-demand ones."""
    layout = here()
    steps.build_images(layout, steps.ensure(layout))


@application.command()
def bench() -> None:
    """Set up, and run the benchmarks."""
    layout = here()
    ready = steps.ensure(layout)
    steps.build_images(layout, ready)
    command = [str(layout.test_venv / "bin" / "python"), "-m", "benchmarks"]
    raise typer.Exit(
        subprocess.run(command, cwd=layout.root, env=ready.environment, check=False).returncode
    )


@application.command()
def test(layer: Layer = "") -> None:  # noqa: PT028 (a command, not a test)
    """Set up, and run all checks and tests, or the tests of one layer."""
    layout = here()
    folder = [str(checks.layer_folder(layout, layer))] if layer else []
    # The programs share most of their modules, and so one set of caches.
    with golang.caches(layout):
        with steps.background(layout, steps.TEST_ENVIRONMENT, dict(os.environ)):
            ready = steps.ensure(layout)
        if layer:
            checks.ensure_parts(layout, layer)
        else:
            with steps.background(layout, steps.IMAGES, ready.environment):
                # Before what takes minutes.
                checks.lint(layout)
                checks.ensure_parts(layout, "package")
    if layer:
        heading("pytest")
        checks.become_pytest(layout, ready.environment, folder)
    beside = steps.TESTS_WITHOUT_STACKS
    heading(f"pytest; beside it `{' '.join(beside)}`, whose output follows")
    with steps.background(layout, beside, ready.environment, niceness=LOWEST_PRIORITY):
        status = checks.run_pytest(layout, ready.environment, checks.with_stacks(layout))
    if status:
        raise SetupError(
            f"the tests with stacks on Docker ended with status {status}",
            "see their output, above that of the other tests",
        )


@application.command("test-without-stacks", hidden=True)
def test_without_stacks() -> None:
    """Set up, and run the tests that bring no stack up on Docker. Runs beside the others."""
    layout = here()
    checks.ensure_parts(layout)
    checks.become_pytest(layout, dict(os.environ), checks.without_stacks(layout))


@application.command()
def lint() -> None:
    """Check format, lint and types."""
    checks.lint(here())


@application.command("format")
def format_code() -> None:
    """Format all files."""
    checks.format_code(here())


@application.command("clean")
def clean_up(delete_data: DeleteData = False) -> None:
    """Remove what set-up created, and the stacks on Docker."""
    clean.clean(here(), delete_data=delete_data)


if __name__ == "__main__":
    application()
