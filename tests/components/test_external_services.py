"""Servers outside of the stack, as services of a stack on Docker reach them."""

from typing import Any

import pytest

from strata.components import (
    AppJob,
    AppJobArgs,
    ExternalService,
    ExternalServiceArgs,
    Gateway,
    GatewayArgs,
    Route,
)
from strata.config import Settings
from strata.model import ExternalSecret, Port
from strata.stack import Stack
from tests.components.example import SMALL, application
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import Recorded, compose, refused

HOST = "orders.example.com"


def orders(stack: Stack, **changed: Any) -> ExternalService:
    fields: dict[str, Any] = {"host": HOST, "port": 5432, "ranges": ("192.0.2.0/24",)}
    return ExternalService("orders", ExternalServiceArgs(stack=stack, **(fields | changed)))


def variables(recorded: Recorded, name: str = "app") -> dict[str, str]:
    return dict(one.split("=", 1) for one in recorded.service(name)["envs"])


def hosts(recorded: Recorded, name: str) -> dict[str, str]:
    return {one["host"]: one["ip"] for one in recorded.service(name).get("hosts", ())}


def networks(recorded: Recorded, name: str) -> dict[str, Any]:
    joined = recorded.service(name).get("networksAdvanced", ())
    return {one["name"]: one.get("ipv4Address") for one in joined}


def files(recorded: Recorded, volume: str) -> dict[str, str]:
    written = recorded.volume_files[recorded.inputs[volume]["name"]]
    return {name: file.content for name, file in written.items()}


def relay_configuration(recorded: Recorded) -> str:
    return files(recorded, "orders-etc-strata")["nginx.conf"]


def test_an_application_uses_it_like_a_datastore() -> None:
    def describe(stack: Stack) -> None:
        database = orders(
            stack,
            user="shop",
            database="orders",
            password=ExternalSecret("orders-password"),
            authority="a certificate",
        )
        application(stack, "app", connections={"DATABASE": database.connection})

    settings = Settings.model_validate({"secrets": {"orders-password": "a password"}})
    recorded = compose(describe, settings=settings).recorded
    expected = {
        "DATABASE_HOST": HOST,
        "DATABASE_PORT": "5432",
        "DATABASE_USER": "shop",
        "DATABASE_NAME": "orders",
        "DATABASE_PASSWORD_FILE": "/run/secrets/database-password",
        "DATABASE_CA_FILE": "/run/secrets/database-ca.pem",
    }
    assert expected.items() <= variables(recorded).items()
    assert files(recorded, "app-run-secrets") == {
        "database-password": "a password",
        "database-ca.pem": "a certificate",
    }


def test_a_server_that_the_image_trusts_needs_no_authority() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", connections={"DATABASE": orders(stack).connection})

    recorded = compose(describe).recorded
    assert "DATABASE_CA_FILE" not in variables(recorded)
    assert "app-run-secrets" not in recorded.inputs


@pytest.mark.parametrize(
    ("changed", "url"),
    [
        ({"port": 443}, f"https://{HOST}"),
        ({"port": 8443}, f"https://{HOST}:8443"),
        ({"port": 80, "tls": False}, f"http://{HOST}"),
        ({"port": 443, "host": "192.0.2.7"}, "https://orders"),
    ],
)
def test_the_url_of_a_call_names_the_host(changed: dict[str, Any], url: str) -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", calls={"ORDERS_URL": orders(stack, **changed).endpoint()})

    assert variables(compose(describe).recorded)["ORDERS_URL"] == url


def test_only_the_relay_has_a_way_out() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", orders(stack).endpoint())
        application(stack, "other")

    recorded = compose(describe).recorded
    outward = "strata-test-orders-outward"
    assert set(networks(recorded, "orders")) == {outward, "strata-test-orders-5432"}
    assert set(networks(recorded, "app")) == {"strata-test-orders-5432"}
    assert not networks(recorded, "other")
    (internal,) = [
        one for one in recorded.of("Network").values() if one["name"] == "strata-test-orders-5432"
    ]
    assert internal["internal"] is True
    # Only the relay resolves names of the internet.
    assert recorded.service("app")["dns"] == ["127.0.0.1"]
    assert "dns" not in recorded.service("orders")


def test_a_client_finds_the_relay_by_the_name_of_the_host() -> None:
    def describe(stack: Stack) -> None:
        server = orders(stack)
        application(stack, "app", server.endpoint())
        # One that listens on every address has a network of its own with the relay.
        open_port = Port(name="open", number=9000, bound=False)
        application(stack, "open", server.endpoint(), ports=(open_port,))

    recorded = compose(describe).recorded
    relay = networks(recorded, "orders")
    assert hosts(recorded, "app") == {HOST: relay["strata-test-orders-5432"]}
    assert hosts(recorded, "open") == {HOST: relay["strata-test-orders-5432-open"]}
    assert not hosts(recorded, "orders"), "it would connect to itself"


def test_the_relay_connects_to_the_one_host_and_port() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", orders(stack).endpoint())

    recorded = compose(describe).recorded
    configuration = relay_configuration(recorded)
    assert configuration.count("proxy_pass") == 1
    assert f"set $server {HOST}:5432;" in configuration
    address = networks(recorded, "orders")["strata-test-orders-5432"]
    listening = {line.split()[1] for line in configuration.splitlines() if " listen " in line}
    assert listening == {"127.0.0.1:8081;", "127.0.0.1:5432", f"{address}:5432"}


def test_a_port_that_the_probe_has_by_default() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", orders(stack, port=8081).endpoint())

    configuration = relay_configuration(compose(describe).recorded)
    assert configuration.count("127.0.0.1:8081") == 1


def test_a_server_without_clients_has_no_relay() -> None:
    def describe(stack: Stack) -> None:
        orders(stack)
        application(stack, "app")

    recorded = compose(describe).recorded
    assert "orders-1" not in recorded.inputs


def test_a_job_is_a_client_too() -> None:
    def describe(stack: Stack) -> None:
        args = AppJobArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            calls={"ORDERS_URL": orders(stack).endpoint()},
        )
        AppJob("job", args)

    recorded = compose(describe).recorded
    assert "strata-test-orders-5432" in networks(recorded, "job")
    assert "orders-1" in recorded.dependencies["job-1"]


def test_the_relay_is_a_child_of_the_component() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", orders(stack).endpoint())

    recorded = compose(describe).recorded
    assert recorded.parents["orders-1"] == "orders"
    assert recorded.types["orders"] == "strata:components:ExternalService"


def test_both_platforms_show_the_link() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", orders(stack).endpoint())

    link = {"client": "app", "server": "orders", "port": 5432, "protocol": "TCP"}
    assert compose(describe).outputs["links"] == [link]
    assert on_kubernetes.compose(describe).outputs["links"] == [link]


def test_a_host_that_was_never_valid() -> None:
    def describe(stack: Stack) -> None:
        server = orders(stack, host="https://orders.example.com", port=0, ranges=("10.0.0.1/8",))
        application(stack, "app", server.endpoint())

    error, recorded = refused(describe)
    assert {problem.path for problem in error.problems} == {
        "external service orders: host",
        "external service orders: port",
        "external service orders: ranges",
    }
    assert not recorded.of("Container")


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        (("0.0.0.0/0",), "0.0.0.0/0 is a large part of the internet"),
        (("0.0.0.0/1", "128.0.0.0/1"), "128.0.0.0/1 is a large part of the internet"),
        (("169.254.169.254/32",), "a cloud's metadata service"),
        (("127.0.0.0/8",), "overlaps addresses of the host itself"),
        (("orders",), "'orders' is not a range of IPv4 addresses"),
    ],
)
def test_ranges_that_are_more_than_a_server(ranges: tuple[str, ...], message: str) -> None:
    error, _ = refused(
        lambda stack: _only(application(stack, "app", orders(stack, ranges=ranges).endpoint()))
    )
    assert message in str(error)


def test_names_and_hosts_that_are_taken() -> None:
    def same_host(stack: Stack) -> None:
        other = ExternalService("other", ExternalServiceArgs(stack=stack, host=HOST, port=443))
        application(stack, "app", orders(stack).endpoint(), other.endpoint())

    error, _ = refused(same_host)
    assert str(error).count(f"{HOST} is also the host of") == 1

    def of_a_service(stack: Stack) -> None:
        application(stack, "orders")
        orders(stack)

    error, _ = refused(of_a_service)
    assert "external service orders: this name is used twice" in str(error)

    def host_of_a_service(stack: Stack) -> None:
        server = application(stack, "server")
        application(stack, "app", server.endpoint(), orders(stack, host="server").endpoint())

    error, _ = refused(host_of_a_service)
    assert "server is the name of a service of the stack" in str(error)


def test_a_gateway_has_no_route_to_it() -> None:
    def describe(stack: Stack) -> None:
        Gateway(
            "gateway",
            GatewayArgs(stack=stack, routes=(Route(path="/", endpoint=orders(stack).endpoint()),)),
        )

    error, _ = refused(describe)
    assert f"service gateway: routes[0].endpoint: {HOST} is outside of the stack" in str(error)


def _only(_: object) -> None:
    """The type of a program."""
