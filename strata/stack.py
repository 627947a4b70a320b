"""A stack: components add to it; it checks the whole, and deploys it on a platform."""

import asyncio
import atexit
import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pulumi
from pulumi.runtime.config import CONFIG
from pulumi.runtime.settings import SETTINGS

from strata import config
from strata.config import PlatformName, Settings
from strata.errors import Problem, StrataError, raise_problems
from strata.model import Composition, ExternalServer, Overrides, Workload
from strata.model.composition import NAME_TAKEN_FIX
from strata.platforms import choose, missing_sdk_reported
from strata.platforms.failure import fail


class Plan(Protocol):
    """What a platform would create: plain data, which anything can read."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the stack can't run on the platform."""
        ...


P = TypeVar("P", bound=Plan)
Observer = Callable[[Composition], Iterable[Workload]]
"""Describes workloads that depend on all others of the stack."""
READER: ContextVar[Callable[["Stack"], None] | None] = ContextVar("reader", default=None)
"""What a program's stack goes to instead of a platform: see `collect.read_program`."""


class Platform(Protocol[P]):
    """Where a stack runs."""

    def plan(self, composition: Composition) -> P:
        """What the platform would create. Creates nothing."""
        ...

    def make(
        self, plan: P, components: Mapping[str, pulumi.Resource]
    ) -> Mapping[str, pulumi.Input[Any]]:
        """Creates what the plan says, each resource as a child of its workload's component, and
        returns the outputs of the stack."""
        ...


class Stack:
    """Collects what components describe.

    Nothing is created before `deploy`, because networks, the budget and most errors follow from the
    whole. `composition` is plain data, complete once all components are constructed.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.composition = Composition(
            Overrides(
                services={
                    name: changes.model_dump(exclude_none=True)
                    for name, changes in self.settings.services.items()
                },
                profiles=frozenset(self.settings.profiles),
                secret_owners=frozenset(self.settings.secret_generations),
                external_secrets=frozenset(self.settings.secrets),
                ports=self.settings.ports.model_dump(),
                development=self.settings.platform is PlatformName.DOCKER,
            )
        )
        self._components: dict[str, pulumi.Resource] = {}
        self._observers: list[tuple[Observer, pulumi.Resource]] = []
        self._problems: list[Problem] = []

    def add(
        self,
        workloads: Iterable[Workload],
        component: pulumi.Resource,
        problems: Iterable[Problem] = (),
        main: str | None = None,
    ) -> None:
        """Adds the workloads of a component, and what is wrong with the component's arguments. They are
        parts of the workload `main`.

        Raises `InvalidStackError` at once for a name that is taken: the engine would report the
        second resource of that name in its own words.
        """
        self._problems.extend(problems)
        for workload in workloads:
            self._take(workload.name, workload.path, component)
            self.composition.add(workload, main)

    def add_external(self, server: ExternalServer, component: pulumi.Resource) -> None:
        """Adds a server outside of the stack. Raises as `add` does."""
        self._take(server.name, server.path, component)

    def _take(self, name: str, path: str, component: pulumi.Resource) -> None:
        if name in self._components:
            taken = Problem(path, "this name is used twice", NAME_TAKEN_FIX)
            raise_problems([*self._problems, taken])
        self._components[name] = component

    def add_observer(self, observer: Observer, component: pulumi.Resource) -> None:
        """Adds workloads that follow from all others: `observer` is called once every component is
        constructed."""
        self._observers.append((observer, component))

    def complete(self) -> None:
        """Adds what observers describe, once."""
        while self._observers:
            observer, component = self._observers.pop(0)
            self.add(observer(self.composition), component)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong on every platform. The stack must be complete."""
        return (*self._problems, *self.composition.problems())

    def plan(self, platform: Platform[P]) -> P:
        """What the platform would create. Raises `InvalidStackError` with every problem."""
        self.complete()
        plan = platform.plan(self.composition)
        raise_problems([*self.problems, *plan.problems])
        return plan

    def deploy(self, platform: Platform[P]) -> Mapping[str, pulumi.Input[Any]]:
        """Checks the stack, then creates it. Returns its outputs."""
        return platform.make(self.plan(platform), self._components)


@contextmanager
def open_stack() -> Iterator[Stack]:
    """The stack of a Pulumi program, by the `strata:` keys of its configuration.

    At the end of the `with` block the stack is checked, deployed and its outputs are exported. What
    is wrong is printed as one list, and ends the program:

        with open_stack() as stack:
            Datastore("postgres", DatastoreArgs(stack=stack, engine=POSTGRES))
    """
    if read := READER.get():
        stack = _configured()
        with missing_sdk_reported(stack.settings, pulumi.get_stack()):
            yield stack
        read(stack)
        return
    # A run lives for seconds and keeps what it creates: collecting garbage, all along and once more
    # at the end, takes a third of the program's processor time (docs/performance.md).
    gc.disable()
    atexit.register(gc.freeze)
    _send_debug_messages_on_request()
    try:
        stack = _configured()
        with missing_sdk_reported(stack.settings, pulumi.get_stack()):
            yield stack
            platform = choose(stack.settings, pulumi.get_project(), pulumi.get_stack())
        for name, value in stack.deploy(platform).items():
            pulumi.export(name, value)
    except StrataError as error:
        fail(error)
    _wait_for_all_outputs_at_once()


def _configured() -> Stack:
    file = Path(f"Pulumi.{pulumi.get_stack()}.yaml")
    return Stack(config.load(CONFIG.get(), file))


def _wait_for_all_outputs_at_once() -> None:
    """Makes the SDK wait for the outputs of all resources before it looks for any that are left.

    On its own it waits for the first of them, then for the first of the others, and so on: with 73
    resources, a hundred times over two thousand outputs (docs/performance.md). It awaits what is in
    `rpcs` first. An output that fails ends the wait, and the SDK then reports it.
    """
    outputs = asyncio.wait(list(SETTINGS.outputs), return_when=asyncio.FIRST_EXCEPTION)
    SETTINGS.rpc_manager.rpcs.append(asyncio.ensure_future(outputs))


def _send_debug_messages_on_request() -> None:
    """Sends the SDK's messages for `pulumi --debug` only if `STRATA_DEBUG` is set, as the wrapper of
    the CLI does with that option. Each message is a blocking call to the engine, which drops it."""
    if not os.environ.get("STRATA_DEBUG"):
        pulumi.log.debug = lambda *_, **__: None
