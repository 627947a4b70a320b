"""Servers outside of the stack, as pods reach them."""

from typing import Any

from strata.components import ExternalService, ExternalServiceArgs
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes.stack import Recorded, compose, refused


def composed(**changed: Any) -> Recorded:
    return compose(lambda stack: _describe(stack, **changed)).recorded


def _describe(stack: Stack, **changed: Any) -> None:
    fields: dict[str, Any] = {"host": "orders.example.com", "port": 5432} | changed
    server = ExternalService("orders", ExternalServiceArgs(stack=stack, **fields))
    application(stack, "app", server.endpoint())


def test_a_client_reaches_the_ranges_on_the_port_and_nothing_else() -> None:
    recorded = composed(ranges=("192.0.2.0/24", "198.51.100.7/32"))
    names, server = recorded.inputs["NetworkPolicy", "app"]["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert server == {
        "to": [
            {"ipBlock": {"cidr": "192.0.2.0/24"}},
            {"ipBlock": {"cidr": "198.51.100.7/32"}},
        ],
        "ports": [{"port": 5432, "protocol": "TCP"}],
    }


def test_there_is_no_relay_and_nothing_waits() -> None:
    recorded = composed(ranges=("192.0.2.0/24",))
    assert set(recorded.of("Deployment")) == {"app"}
    assert set(recorded.of("Service")) == {"app"}


def test_a_host_name_needs_ranges() -> None:
    error, recorded = refused(lambda stack: _describe(stack))
    (problem,) = error.problems
    assert problem.path == "external service orders: ranges"
    assert "orders.example.com" in problem.message
    assert not recorded.of("Deployment")


def test_an_address_needs_none_and_has_the_name_of_the_service() -> None:
    recorded = composed(host="192.0.2.7")
    (rule,) = recorded.inputs["NetworkPolicy", "app"]["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.7/32"}}]
    assert recorded.pod("app")["hostAliases"] == [{"ip": "192.0.2.7", "hostnames": ["orders"]}]
    environment = {one["name"]: one.get("value") for one in recorded.container("app")["env"]}
    assert environment["ORDERS_URL"] == "https://orders:5432"
