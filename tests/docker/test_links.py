"""A service reaches what it links to, and nothing else.

Every ordered pair of services is tried, on every port that the server listens on and at every
address it has, from inside the network namespace of the client.
"""

from typing import Any

from tests.docker.conftest import containers
from tests.docker.network import connections, in_network_of
from tests.project import Project


def listening(container: Any) -> set[int]:
    """Ports that are listened on by anything but Docker's own DNS server."""
    found = set()
    for line in in_network_of(container, "ss", "-ltnH").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if address != "127.0.0.11":
            found.add(int(port))
    return found


def addresses(container: Any) -> set[str]:
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    return {network["IPAddress"] for network in networks if network["IPAddress"]}


def test_every_pair_of_services(engine: Any, reference: Project) -> None:
    allowed = {
        (link["client"], link["server"], int(link["port"])) for link in reference.outputs()["links"]
    }
    services = containers(engine)
    ports = {name: listening(container) for name, container in services.items()}
    # What the test would find if it found nothing: every linked port is listened on.
    assert all(port in ports[server] for _, server, port in allowed)
    reached = set()
    for client, container in services.items():
        targets = [
            (server, address, port)
            for server, other in services.items()
            if server != client
            for address in addresses(other)
            for port in ports[server]
        ]
        answers = connections(container, *((address, port) for _, address, port in targets))
        for (server, _, port), answer in zip(targets, answers, strict=True):
            if answer:
                reached.add((client, server, port))
    assert reached == allowed


def test_a_service_resolves_what_it_links_to(engine: Any, reference: Project) -> None:
    services = containers(engine)
    for link in reference.outputs()["links"]:
        status, _ = services[link["client"]].exec_run(["getent", "hosts", link["server"]])
        assert status == 0, f"{link['client']} does not resolve {link['server']}"


def test_only_the_gateway_and_the_sender_of_alerts_have_a_way_out(
    engine: Any, reference: Project, outside: tuple[str, int]
) -> None:
    assert reference.stack == "pytest"
    reaches = {
        name: connections(container, outside) == [True]
        for name, container in containers(engine).items()
    }
    # Networks of published ports aren't internal. Without masquerading, a reply finds no way back from
    # the internet; `outside` knows the way.
    published = {"victoria-logs", "victoria-metrics"}
    found = {name for name, does in reaches.items() if does}
    assert found - published == {"alertmanager", "gateway"}


def test_what_people_open_is_published_on_loopback(engine: Any, reference: Project) -> None:
    published = {
        (name, binding["HostIp"])
        for name, container in containers(engine).items()
        for bindings in container.attrs["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert published == {
        (name, "127.0.0.1") for name in ("gateway", "victoria-logs", "victoria-metrics")
    }
    assert set(reference.outputs()["urls"]) == {
        "gateway",
        "gateway-https",
        "victoria-logs",
        "victoria-metrics",
    }
