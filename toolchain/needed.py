"""Which images a stack needs: its system composed on a platform that only listens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pulumi
from pulumi.runtime import Mocks, set_mocks

import systems
from strata.config import Settings
from strata.images import catalogue
from strata.model import GpuMode, Workload
from strata.platforms.platform import Deployment


class _Nothing(Mocks):
    """Components are registered with nobody, and no resource is made."""

    def new_resource(self, args: Any) -> tuple[str | None, dict[Any, Any]]:
        return "", {}

    def call(self, args: Any) -> tuple[dict[Any, Any], None]:
        return {}, None


class _Listener:
    """A platform that keeps what it is given."""

    def __init__(self) -> None:
        self.given: list[Workload] = []

    def add(self, workload: Workload, parent: pulumi.Resource) -> None:
        self.given.append(workload)

    def deploy(self) -> Deployment:
        return Deployment(outputs={})


def own_images(settings: Settings) -> set[str]:
    """The images of a stack that no public registry has. Raises `InvalidStackError`."""
    listener = _Listener()
    asyncio.set_event_loop(asyncio.new_event_loop())
    set_mocks(_Nothing(), project="strata", stack="images", preview=True)

    # Waits until every component is registered, so that nothing is left behind.
    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def compose() -> None:
        systems.find(settings.system)(listener, settings)

    compose()
    names: set[str] = set()
    for one in listener.given:
        if one.gpu.mode is not GpuMode.REQUIRE or one.gpu.image is None:
            names.add(one.image)
        if one.gpu.mode is not GpuMode.OFF and one.gpu.image is not None:
            names.add(one.gpu.image)
    return {name for name in names if catalogue.get(name).upstream is None}


def known(names: Iterable[str]) -> set[str]:
    """Images by name. Raises `ImageError` for an unknown one."""
    return {catalogue.get(name).name for name in names}
