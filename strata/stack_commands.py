"""The commands of `strata` that work on one stack, day by day."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from strata import console

StackOption = Annotated[str, typer.Option("--stack", help="The Pulumi stack.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")]


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


COMMANDS: Mapping[str, Callable[..., Any]] = {"graph": graph}
