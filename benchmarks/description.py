"""The plain data of a system for a peer: composed on mocks, so nothing is created."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network

from strata.collect import collect
from strata.config import Settings
from strata.errors import raise_problems
from strata.model import Service
from strata.platforms.docker import networks
from strata.platforms.docker.networks import NetworkPlan
from strata.stack import Stack

System = Callable[[Stack], None]


@dataclass(frozen=True, kw_only=True)
class Description:
    """The services in start order, and the networks of their links."""

    services: tuple[Service, ...]
    networks: NetworkPlan

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(sorted({service.image for service in self.services}))


def describe(
    system: System, settings: Settings, prefix: str, addresses: IPv4Network
) -> Description:
    """The description of `system`. Raises `InvalidStackError`."""
    composition = collect(system, settings)
    raise_problems(composition.problems())
    plan = networks.plan(composition.workloads, composition.links, prefix, addresses)
    raise_problems(plan.problems)
    return Description(services=composition.services, networks=plan)
