"""Who can reach a container."""

import ipaddress

from strata.policies.crossguard.judge import Judge, Resource
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, setting
from strata.policies.crossguard.values import dig, flag, items, number, text
from strata.policies.rules.docker import facts
from strata.policies.rules.docker.container import container_rule, labels, process_rule


def is_loopback(address: str) -> bool:
    """Whether an address, with or without brackets, is reachable only from its own host."""
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


@container_rule(
    title="A published port is bound to loopback, or to an address on the allow-list.",
    risk="A port with no address, `0.0.0.0` or `::`, or `publishAllPorts`, is open to every network of the host and "
    "bypasses its firewall.",
    fix='Set `ip: "127.0.0.1"` on each port, or add the address to the allow-list. Remove `publishAllPorts`.',
    references=("CIS-Docker 5.14", "CIS-Docker 5.9"),
    severity="high",
    dev_level=MANDATORY,
    settings={"allowed": setting([], "Host addresses that ports may be bound to.")},
)
def bind_address(container: Resource, judge: Judge) -> None:
    with judge:
        if flag(container.get("publishAllPorts")):
            judge.violation("all-ports", "publishAllPorts is true")
    for port, where in container.each("ports"):
        with judge:
            address = text(dig(port, "ip")).strip()
            if not address:
                judge.violation("unset", f"{where}.ip is not set: the port is open to all")
            elif not is_loopback(address) and address not in judge.settings["allowed"]:
                judge.violation("open", f"{where}.ip is not loopback")


@container_rule(
    title="A port that other machines can reach requires authentication.",
    risk="Whoever reaches the port can use the service: read its data, and keep its GPUs busy.",
    fix="Require API keys or logins at the gateway (`strata:gateway.clients`, `strata:gateway.oidc`). "
    "Of another service, say in the label "
    f"`{facts.AUTHENTICATION_LABEL}` how it authenticates its clients. Or bind the port to loopback.",
    references=("OWASP API2:2023",),
    severity="high",
)
def authentication(container: Resource, judge: Judge) -> None:
    def is_stated() -> bool:
        return bool(text(labels(container).get(facts.AUTHENTICATION_LABEL)).strip())

    with judge:
        if flag(container.get("publishAllPorts")) and not is_stated():
            judge.violation("all-ports", "the container doesn't say who may use its ports")
    for port, where in container.each("ports"):
        with judge:
            if not is_loopback(text(dig(port, "ip")).strip()) and not is_stated():
                judge.violation("none", f"the container doesn't say who may use {where}")


@container_rule(
    title="No port below 1024 of the host is published.",
    risk="The container takes a port that clients associate with a service of the host.",
    fix="Publish a port from 1024 up, behind the owner of the low port.",
    references=("CIS-Docker 5.8",),
    severity="low",
    prod=ADVISORY,
    settings={"allowed": setting([], "Low ports that may be published.", "integer")},
)
def low_port(container: Resource, judge: Judge) -> None:
    """Without a stated port, Docker chooses a high one."""
    for port, where in container.each("ports"):
        with judge:
            external = number(dig(port, "external"))
            if 0 < external < 1024 and external not in judge.settings["allowed"]:
                judge.violation("low", f"{where}.external is below 1024")


@process_rule(
    title="A container is not on Docker's default bridge.",
    risk="All containers that specify no network can reach each other on the default bridge.",
    fix="Add a network of the stack to `networksAdvanced`, or set `networkMode: none`.",
    references=("CIS-Docker 5.30", "C-0049"),
    severity="medium",
)
def user_network(container: Resource, judge: Judge) -> None:
    """With networksAdvanced, the networkMode `bridge` is only a default without effect."""
    networks = items(container.get("networksAdvanced"))
    if not networks and text(container.get("networkMode")) in {"", "default", "bridge"}:
        judge.violation("default-bridge", "the container is on the default bridge")
    for network, where in container.each("networksAdvanced"):
        with judge:
            if text(dig(network, "name")) in {"bridge", "default"}:
                judge.violation("named-bridge", f"{where} is the default bridge")
