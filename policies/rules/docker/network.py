"""Who can reach a container."""

from __future__ import annotations

import ipaddress

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, rule, setting
from strata.policies.crossguard.values import dig, flag, items, number, text
from strata.policies.rules.docker.container import CONTAINER, never_runs


def is_loopback(address: str) -> bool:
    """Whether an address, with or without brackets, can be reached from its own host only."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


@rule(
    slug="bind-address",
    title="A published port is bound to loopback, or to an address on the allow-list.",
    stops="A port open to every network of the host, past its firewall: no address, `0.0.0.0`, "
    "`::`, or "
    "publishAllPorts.",
    comply='Set `ip: "127.0.0.1"` on each port, or put the address on the allow-list; remove '
    "`publishAllPorts`.",
    benchmark=("CIS-Docker 5.14", "CIS-Docker 5.9"),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
    accepts=CONTAINER,
    settings={"allowed": setting("array", [], "Addresses of the host that ports may be bound to.")},
)
def bind_address(container: Resource, judge: Judge) -> None:
    """Each port's address is stated, and loopback or allowed; not all ports are published."""
    with judge:
        if flag(container.get("publishAllPorts")):
            judge.violation("all-ports", "publishAllPorts is on")
    for index, port in enumerate(items(container.get("ports"))):
        with judge:
            address = text(dig(port, "ip")).strip()
            if not address:
                judge.violation("unset", f"ports[{index}] states no address, so it is open to all")
            elif not is_loopback(address) and address not in judge.settings["allowed"]:
                judge.violation("open", f"ports[{index}] is bound beyond loopback")


@rule(
    slug="low-port",
    title="No port below 1024 of the host is published.",
    stops="Taking a port by which clients know a service of the host.",
    comply="Publish on a port from 1024 up, behind whatever owns the low port.",
    benchmark=("CIS-Docker 5.8",),
    severity="low",
    development=ADVISORY,
    production=ADVISORY,
    accepts=CONTAINER,
    settings={
        "allowed": setting(
            "array", [], "Low ports that may be published.", items={"type": "integer"}
        )
    },
)
def low_port(container: Resource, judge: Judge) -> None:
    """No low port outside the allow-list. Without a stated port Docker takes a high one."""
    for index, port in enumerate(items(container.get("ports"))):
        with judge:
            external = number(dig(port, "external"))
            if 0 < external < 1024 and external not in judge.settings["allowed"]:
                judge.violation("low", f"ports[{index}] publishes a port below 1024")


@rule(
    slug="user-network",
    title="A container is not on Docker's default bridge.",
    stops="The bridge on which every container that names no network can reach every other.",
    comply="Name a network of the stack in `networksAdvanced`, or set `networkMode: none`.",
    benchmark=("CIS-Docker 5.30", "C-0049"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
    accepts=CONTAINER,
)
def user_network(container: Resource, judge: Judge) -> None:
    """A network of the stack, or none. Beside networksAdvanced ``bridge`` is a mere default."""
    if never_runs(container):
        return
    networks = items(container.get("networksAdvanced"))
    if not networks and text(container.get("networkMode")) in {"", "default", "bridge"}:
        judge.violation("default-bridge", "the container is on Docker's default bridge")
    for index, network in enumerate(networks):
        with judge:
            if text(dig(network, "name")) in {"bridge", "default"}:
                judge.violation("named-bridge", f"networksAdvanced[{index}] is Docker's bridge")
