"""The plain data of a system, as a peer needs it: composed on mocks, so nothing is made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import pulumi
from pulumi.runtime.mocks import MockCallArgs, MockResourceArgs, Mocks

from strata.config import Settings
from strata.model import Composition, Overrides, Service, Workload, raise_problems
from strata.platforms.docker import networks
from strata.platforms.docker.networks import NetworkPlan
from strata.platforms.platform import Deployment, Platform

System = Callable[[Platform, Settings], None]


@dataclass(frozen=True, kw_only=True)
class Description:
    """Services in the order in which they can start, and the networks that their links make."""

    services: tuple[Service, ...]
    networks: NetworkPlan

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(sorted({service.image for service in self.services}))


def describe(
    system: System, settings: Settings, prefix: str, addresses: IPv4Network
) -> Description:
    """What `system` asks its platform for. Raises `InvalidStackError` as the platform would."""
    pulumi.runtime.set_mocks(_Nothing(), project="strata", stack="bench", preview=False)
    collected = _Collector()

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        system(collected, settings)

    program()
    raise_problems(collected.composition.problems())
    services = collected.composition.services
    links = collected.composition.links
    plan = networks.plan(services, links, prefix, addresses)
    raise_problems(plan.problems)
    return Description(services=services, networks=plan)


@dataclass
class _Collector:
    """A platform that only takes in what it is given."""

    composition: Composition = field(default_factory=lambda: Composition(Overrides()))

    def add(self, workload: Workload, parent: pulumi.Resource) -> None:
        self.composition.add(workload)

    def deploy(self) -> Deployment:
        return Deployment(outputs={})


class _Nothing(Mocks):
    """An engine that takes every resource and makes none."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"a component called {args.token}")
