"""The commands of `strata` that work on one stack, day by day."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from strata import console

StackOption = Annotated[str, typer.Option("--stack", help="The Pulumi stack.")]
Watch = Annotated[bool, typer.Option("--watch", help="Refresh until Ctrl-C.")]


def graph(
    stack: StackOption = "dev",
    form: Annotated[
        Literal["mermaid", "svg"] | None,
        typer.Option("--format", help="Default: svg if the output's name ends so, else mermaid."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
) -> None:
    """Draw the services of a stack and their links. Nothing needs to run."""
    from strata.errors import raise_problems
    from strata.ops import graph as ops
    from strata.ops.project import open_project

    project = open_project(stack)
    described = project.read_stack()
    raise_problems(described.problems)
    if form is None:
        form = "svg" if output and output.suffix == ".svg" else "mermaid"
    text = ops.graph(described.composition, form, f"{project.name} {stack}")
    if output is None:
        console.info(text.rstrip("\n"))
    else:
        output.write_text(text)
        console.info(f"wrote {output}")


def restart(
    services: Annotated[list[str], typer.Argument(help="The services.")],
    stack: StackOption = "dev",
) -> None:
    """Restart services in start order, and wait until each is healthy."""
    from strata.ops.deployed import open_deployed
    from strata.ops.restart import restart

    with open_deployed(stack) as deployed:
        count = restart(deployed, stack, services)
    console.info(f"restarted {count} {'container' if count == 1 else 'containers'} of {stack}")


def shell(
    service: Annotated[
        str, typer.Argument(help="A service, or a container of `strata logs`, such as api-2.")
    ],
    command: Annotated[
        list[str] | None, typer.Argument(help="A command, after -- (default: a shell).")
    ] = None,
    stack: StackOption = "dev",
) -> None:
    """Run a shell or a command in a container, as its user."""
    from strata.errors import StrataError
    from strata.ops.deployed import open_deployed

    with open_deployed(stack) as deployed:
        terminal = sys.stdin.isatty() and sys.stdout.isatty()
        line = deployed.command_line(service, command or (), terminal=terminal)
    sys.stdout.flush()
    try:
        os.execvp(line[0], line)  # noqa: S606 (no shell is wanted)
    except FileNotFoundError:
        fix = f"install the command-line interface {line[0]}"
        raise StrataError(f"{line[0]}: the command isn't on the PATH", fix) from None


def dev(
    services: Annotated[list[str], typer.Argument(help="The services to develop.")],
    stack: StackOption = "dev",
) -> None:
    """Bring a stack on Docker up with the source of services mounted, and show their logs until Ctrl-C."""
    from datetime import UTC, datetime

    from strata.ops import develop
    from strata.ops.deployed import open_deployed
    from strata.ops.logs import Selection, show

    begin = datetime.now(UTC)
    develop.up(stack, services)
    console.info(
        f"\nA change of {', '.join(services)} restarts the program. Ctrl-C ends the logs.\n"
    )
    with open_deployed(stack) as deployed:
        try:
            deployed.logs(Selection(services=services, since=begin)).follow(show)
        except KeyboardInterrupt:
            console.info(f"\nThe source stays mounted until the next pulumi up --stack {stack}.")


def open_pages(
    name: Annotated[
        str | None, typer.Argument(help="A name of the list (default: the gateway).")
    ] = None,
    stack: StackOption = "dev",
    only_print: Annotated[bool, typer.Option("--print", help="Don't start a browser.")] = False,
) -> None:
    """Print the URLs of a stack, and open one in the browser."""
    import webbrowser

    from strata.ops.urls import FIRST, read_pages

    pages = read_pages(stack, name)
    for row in console.table(list(pages.items())):
        console.info(row)
    url = pages.get(name or FIRST)
    if url and not only_print:
        webbrowser.open(url)


def top(
    services: Annotated[list[str] | None, typer.Argument(help="Services (default: all).")] = None,
    stack: StackOption = "dev",
    watch: Watch = False,
) -> None:
    """Show the memory and the cores that containers use now."""
    from strata.ops.deployed import open_deployed
    from strata.ops.top import lines

    with open_deployed(stack) as deployed:
        frames = map(lines, deployed.usages(services or ()))
        if watch:
            console.watch(frames)
        for line in next(frames):
            console.info(line)


def doctor(stack: StackOption = "dev") -> None:
    """Check what a stack needs on this machine. Exits with 1 if anything is wrong."""
    from strata import docker_engine
    from strata.ops import doctor as ops

    problems = 0
    with docker_engine.errors(f"stack {stack}: Docker failed"):
        for check in ops.checks(stack):
            problems += not check.is_ok
            for line in ops.lines(check):
                console.info(line)
    counted = {0: "no problems", 1: "1 problem"}.get(problems, f"{problems} problems")
    console.info(f"{stack}: {counted}")
    raise typer.Exit(1 if problems else 0)


def repair(stack: StackOption = "dev") -> None:
    """End what a killed `pulumi up` on a cluster left pending in the state."""
    from strata.ops.kubernetes.repair import repair

    done = repair(stack)
    for name in done.recorded:
        console.info(f"recorded {name}: the killed update had created it")
    for name in done.foreign:
        console.info(f"left {name} alone: it exists, and is not of this stack")
    count = len(done.recorded) + len(done.foreign) + done.dropped
    ended = {0: "nothing was pending", 1: "1 pending operation ended"}
    console.info(f"{stack}: {ended.get(count, f'{count} pending operations ended')}")


COMMANDS: Mapping[str, Callable[..., Any]] = {
    "graph": graph,
    "dev": dev,
    "restart": restart,
    "shell": shell,
    "open": open_pages,
    "top": top,
    "doctor": doctor,
    "repair": repair,
}
