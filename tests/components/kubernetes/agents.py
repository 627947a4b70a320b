"""Small services that need what a cluster's agents need."""

from collections.abc import Callable
from typing import Any

import pulumi

from strata.model import ApiAccess, HostFolder, HostMount, Service, Workload, Zone
from strata.stack import Stack
from tests.unit.examples import link, service

POD_LOGS = HostMount(folder=HostFolder.POD_LOGS, path="/logs", reason="reads the logs of pods")
PODS = ApiAccess(resources=("pods",), cluster_wide=True)


def agent(name: str = "agent", **changed: Any) -> Service:
    """Reads the logs of its node, and sends them to `store`."""
    fields: dict[str, Any] = {
        "on_every_node": True,
        "host_mounts": (POD_LOGS,),
        "user": "0:0",
        "links": (link("store"),),
    }
    return service(name, zone=Zone.MONITORING, **(fields | changed))


def reader(*access: ApiAccess, name: str = "reader", **changed: Any) -> Service:
    """May read something of the API."""
    return service(name, api_access=access, zone=Zone.MONITORING, **changed)


def describe(*workloads: Workload) -> Callable[[Stack], None]:
    def add(stack: Stack) -> None:
        for workload in workloads:
            stack.add([workload], pulumi.ComponentResource("tests:agents:Part", workload.name))

    return add
