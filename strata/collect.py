"""Composes a system outside of a Pulumi run, for tools that read what it consists of."""

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.runtime import Mocks, set_mocks
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs

from strata.config import Settings
from strata.model import Composition
from strata.stack import Stack


class _NoEngine(Mocks):
    """Components are registered with no engine, and nothing is created."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return "", {}

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


def collect(compose: Callable[[Stack], None], settings: Settings) -> Composition:
    """What a system consists of with these settings. Raises `InvalidStackError` for a name that is
    used twice; the composition reports all other problems."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    set_mocks(_NoEngine(), project="strata", stack="collect", preview=True)
    stack = Stack(settings)

    # Waits until every component is registered, so that no task is left behind.
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        compose(stack)

    program()
    stack.complete()
    return stack.composition
