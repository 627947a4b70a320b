"""A service reaches what it links to, and nothing else.

Connections are tried from inside the network namespace of the client.
"""

from typing import Any

from tests.docker.conftest import containers
from tests.docker.network import connections, reached
from tests.project import Project


def test_every_pair_of_services(engine: Any, reference: Project) -> None:
    allowed = {
        (link["client"], link["server"], int(link["port"])) for link in reference.outputs()["links"]
    }
    assert reached(containers(engine)) == allowed


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
