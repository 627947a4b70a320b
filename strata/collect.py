"""Composes a stack outside of a Pulumi run, for tools that read what it consists of."""

import asyncio
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pulumi
from pulumi.runtime import Mocks, set_all_config, set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs

from strata.config import Settings
from strata.errors import InvalidStackError, Problem
from strata.model import Composition
from strata.stack import READER, Stack


class _NoEngine(Mocks):
    """Components are registered with no engine, and nothing is created."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return "", {}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


def collect(
    compose: Callable[[Stack], None],
    settings: Settings,
    configuration: Mapping[str, str] = MappingProxyType({}),
) -> Composition:
    """What a system consists of with these settings. `configuration`: see `read_program`. Raises
    `InvalidStackError` for a name that is used twice; the composition reports all other problems."""
    stack = Stack(settings)

    def run() -> None:
        set_all_config(dict(configuration))
        compose(stack)

    _run(run, project="strata", stack="collect")
    stack.complete()
    return stack.composition


def read_program(
    program: Path, project: str, stack: str, configuration: Mapping[str, str]
) -> Stack:
    """Runs a Pulumi program until its `open_stack` block ends, and returns the stack. Nothing is
    created. `program`: the folder of its `__main__.py`, or the file. `configuration`: by
    `namespace:key`, as Pulumi passes it to the program.

    Raises `InvalidStackError` for wrong settings or a program without `open_stack`, and whatever the
    program raises.
    """
    stacks: list[Stack] = []

    def run() -> None:
        set_all_config(dict(configuration))
        READER.set(stacks.append)
        runpy.run_path(str(program), run_name="__main__")

    _run(run, project, stack)
    if not stacks:
        raise InvalidStackError(
            [
                Problem(
                    str(program),
                    "has no stack",
                    "describe it in a block `with open_stack() as stack:` (strata.stack)",
                )
            ]
        )
    stacks[0].complete()
    return stacks[0]


def _run(program: Callable[[], None], project: str, stack: str) -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())
    set_mocks(_NoEngine(), project=project, stack=stack, preview=True)

    # Waits until every component is registered, so that no task is left behind.
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        program()

    run()
