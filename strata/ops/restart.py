"""Restarts services of a stack: `strata restart`."""

from collections.abc import Sequence

from strata.ops.deployed import DeployedStack
from strata.ops.project import open_project


def restart(deployed: DeployedStack, stack: str, services: Sequence[str]) -> int:
    """Restarts services one after another in start order. Returns the number of containers.

    Raises `InvalidStackError` before anything is restarted, and a `StrataError` if a service doesn't
    become healthy: those after it aren't restarted.
    """
    deployed.check_services(services)
    if len(services) > 1:
        described = open_project(stack).read_stack().composition
        services = in_start_order(services, [each.name for each in described.workloads])
    return deployed.restart(services)


def in_start_order(services: Sequence[str], start_order: Sequence[str]) -> list[str]:
    """Each service once, in start order. Those that the order doesn't have come last."""
    place = {name: index for index, name in enumerate(start_order)}
    return sorted(dict.fromkeys(services), key=lambda name: place.get(name, len(place)))
