"""`python -m strata.policies check | audit STACK | docs`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from strata.engine import EngineError
from strata.policies import commands

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Strict = Annotated[bool, typer.Option("--strict", help="Also fail on what could not be judged.")]
Markdown = Annotated[Path | None, typer.Option(help="Also write the result to this file.")]


@app.command()
def check(
    system: Annotated[list[str] | None, typer.Option(help="Only this system; repeatable.")] = None,
    stack: Annotated[list[str] | None, typer.Option(help="Only this stack; repeatable.")] = None,
    strict: Strict = False,
    markdown: Markdown = None,
) -> None:
    """Preview every system on every stack with the packs."""
    status = commands.check(
        systems=system or (), stacks=stack or (), strict=strict, markdown=markdown
    )
    raise typer.Exit(status)


@app.command()
def audit(stack: str, strict: Strict = False, markdown: Markdown = None) -> None:
    """Judge the state of a stack with the packs."""
    raise typer.Exit(commands.audit(stack, strict=strict, markdown=markdown))


@app.command()
def docs(
    check: Annotated[bool, typer.Option("--check", help="Only list stale files.")] = False,
) -> None:
    """Write docs/policies and the files of levels from the rules."""
    raise typer.Exit(commands.write_docs(only_check=check))


if __name__ == "__main__":
    try:
        app()
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
