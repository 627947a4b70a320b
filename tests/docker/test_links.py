"""A service reaches what it links to, and nothing else.

Connections are tried from inside the network namespace of the client.
"""

import sys
from typing import Any

from tests.docker.conftest import containers
from tests.docker.network import connections, in_each, in_network_of, reached
from tests.project import Project

# Asks Docker's DNS server for the address of strata.invalid (RFC 1035, RFC 2606).
RESOLVE = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as client:
    client.settimeout(1)
    question = b"\\x06strata\\x07invalid\\x00\\x00\\x01\\x00\\x01"
    client.sendto(b"\\x00\\x01\\x01\\x00\\x00\\x01" + bytes(6) + question, ("127.0.0.11", 53))
    try:
        code = client.recv(512)[3] & 15
    except TimeoutError:
        code = 2  # SERVFAIL
print("answered" if code != 2 else "failed")
"""


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


def test_only_the_sender_of_alerts_has_a_way_out(
    engine: Any, reference: Project, outside: tuple[str, int]
) -> None:
    assert reference.stack == "pytest"
    reaches = in_each(containers(engine), lambda one: connections(one, outside) == [True])
    # Networks of published ports aren't internal. Without masquerading, a reply finds no way back from
    # the internet; `outside` knows the way.
    published = {"gateway", "prometheus", "victoria-logs"}
    found = {name for name, does in reaches.items() if does}
    assert found - published == {"alertmanager"}


def test_no_name_leaves_the_stack_but_by_the_sender_of_alerts(
    engine: Any, reference: Project
) -> None:
    """A name server outside would answer that the name doesn't exist."""
    assert reference.stack == "pytest"
    answers = in_each(
        containers(engine), lambda one: in_network_of(one, sys.executable, "-c", RESOLVE).strip()
    )
    assert {name for name, said in answers.items() if said != "failed"} <= {"alertmanager"}


def test_what_people_open_is_published_on_loopback(engine: Any, reference: Project) -> None:
    published = {
        (name, binding["HostIp"])
        for name, container in containers(engine).items()
        for bindings in container.attrs["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert published == {(name, "127.0.0.1") for name in ("gateway", "prometheus", "victoria-logs")}
    assert set(reference.outputs()["urls"]) == {
        "gateway",
        "gateway-https",
        "prometheus",
        "victoria-logs",
    }
