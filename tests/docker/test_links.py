"""A service reaches what it links to, and nothing else.

Every ordered pair of services is tried, on every port that the server listens on and at every
address it has, from inside the network namespace of the client.
"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docker.conftest import containers
from tests.project import Project

# Run in the client's network namespace; each line of input is an address and a port.
CONNECT = """
import socket, sys
for line in sys.stdin:
    address, port = line.split()
    with socket.socket() as client:
        client.settimeout(1)
        print(address, port, client.connect_ex((address, int(port))) == 0)
"""

# Says on which port it listens, then accepts whoever comes.
ANSWER = """
import socket
server = socket.create_server(("198.51.100.2", 0))
print(server.getsockname()[1], flush=True)
while True:
    server.accept()[0].close()
"""


def in_network_of(container: Any, *command: str, text: str = "") -> str:
    pid = str(container.attrs["State"]["Pid"])
    done = subprocess.run(
        ["nsenter", "--target", pid, "--net", *command],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    return done.stdout


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
        asked = "".join(f"{address} {port}\n" for _, address, port in targets)
        answers = in_network_of(container, sys.executable, "-c", CONNECT, text=asked).splitlines()
        for (server, _, port), answer in zip(targets, answers, strict=True):
            if answer.endswith("True"):
                reached.add((client, server, port))
    assert reached == allowed


def test_a_service_resolves_what_it_links_to(engine: Any, reference: Project) -> None:
    services = containers(engine)
    for link in reference.outputs()["links"]:
        status, _ = services[link["client"]].exec_run(["getent", "hosts", link["server"]])
        assert status == 0, f"{link['client']} does not resolve {link['server']}"


@pytest.fixture
def outside() -> Iterator[str]:
    """A host that is not this one: a network namespace that answers behind a link of its own.

    Its address is of TEST-NET-2 (RFC 5737), which is nobody's. Gives `address port`.
    """
    commands = (
        "ip netns add strata-outside",
        "ip link add strata-out0 type veth peer name strata-out1 netns strata-outside",
        "ip address add 198.51.100.1/30 dev strata-out0",
        "ip link set strata-out0 up",
        "ip -n strata-outside address add 198.51.100.2/30 dev strata-out1",
        "ip -n strata-outside link set strata-out1 up",
        "ip -n strata-outside route add default via 198.51.100.1",
    )
    subprocess.run(["ip", "netns", "delete", "strata-outside"], check=False, capture_output=True)
    for command in commands:
        subprocess.run(command.split(), check=True)
    server = subprocess.Popen(
        ["ip", "netns", "exec", "strata-outside", sys.executable, "-c", ANSWER],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    yield f"198.51.100.2 {port}"
    server.kill()
    server.wait()
    subprocess.run(["ip", "netns", "delete", "strata-outside"], check=True)


def test_only_the_gateway_has_a_way_out(engine: Any, reference: Project, outside: str) -> None:
    assert reference.stack == "pytest"
    reaches = {
        name: "True" in in_network_of(container, sys.executable, "-c", CONNECT, text=f"{outside}\n")
        for name, container in containers(engine).items()
    }
    assert [name for name, does in reaches.items() if does] == ["gateway"]


def test_only_the_gateway_is_published_and_on_loopback(engine: Any, reference: Project) -> None:
    published = {
        (name, binding["HostIp"])
        for name, container in containers(engine).items()
        for bindings in container.attrs["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    }
    assert published == {("gateway", "127.0.0.1")}
    assert set(reference.outputs()["urls"]) == {"gateway", "gateway-https"}
