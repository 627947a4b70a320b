"""Replicas that are peers, and services that link both ways, on real Docker."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.docker.conftest import containers, remove
from tests.docker.network import connections, in_network_of
from tests.project import TEST_SYSTEMS, Project

STACK = "pytest-peers"
REPLICAS = 3
PORTS = (9001, 9002, 9003)

# Each line of input is a host name and a port; the answer to a datagram, or nothing within a second.
ASK = """
import socket, sys
for line in sys.stdin:
    host, port = line.split()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        try:
            client.sendto(b"?", (socket.gethostbyname(host), int(port)))
            print(client.recvfrom(64)[0].decode())
        except OSError:
            print("-")
"""


@pytest.fixture(scope="module")
def peers(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    remove(engine, STACK)
    project = Project(
        tmp_path_factory.mktemp("peers") / "project", STACK, {"system": "peers"}, TEST_SYSTEMS
    )
    up = project.up()
    if up.status != 0:
        project.destroy()
        remove(engine, STACK)
    assert up.status == 0, up.output
    yield project
    destroyed = project.destroy()
    remove(engine, STACK)
    assert destroyed.status == 0, destroyed.output


def replica(engine: Any, ordinal: int) -> Any:
    return engine.containers.get(f"strata-{STACK}-gossip-{ordinal}")


def ask(container: Any, *targets: tuple[str, int]) -> list[str]:
    """What these (host, port) answer to a datagram that comes from the container."""
    asked = "".join(f"{host} {port}\n" for host, port in targets)
    status, output = container.exec_run(
        ["bash", "-c", f"python3 -c '{ASK}' <<< '{asked.strip()}'"], demux=False
    )
    assert status == 0, output
    return list(map(str, output.decode().split()))


def test_every_replica_reaches_every_peer_over_udp(engine: Any, peers: Project) -> None:
    assert peers.stack == STACK
    for ordinal in range(REPLICAS):
        targets = [(f"gossip-{peer}", port) for peer in range(REPLICAS) for port in PORTS]
        expected = [str(peer) for peer in range(REPLICAS) for _ in PORTS]
        assert ask(replica(engine, ordinal), *targets) == expected


def test_a_client_reaches_the_port_it_links_to_and_no_gossip(engine: Any, peers: Project) -> None:
    client = containers(engine, peers.stack)["client"]
    assert ask(client, ("gossip-0", 9001), ("gossip-1", 9002)) == ["-", "-"]
    addresses = {
        network["IPAddress"]
        for ordinal in range(REPLICAS)
        for network in replica(engine, ordinal).attrs["NetworkSettings"]["Networks"].values()
    }
    reached = connections(client, *((address, 8000) for address in sorted(addresses)))
    # Each replica has one address on the network that the client is on.
    assert sum(reached) == REPLICAS


def test_the_names_of_the_replicas_are_in_their_environment(engine: Any, peers: Project) -> None:
    assert peers.stack == STACK
    environment = dict(line.split("=", 1) for line in replica(engine, 2).attrs["Config"]["Env"])
    assert (environment["ORDINAL"], environment["HOST"]) == ("2", "gossip-2")
    assert environment["PEERS"] == "gossip-0,gossip-1,gossip-2"


def test_two_services_link_to_each_other(engine: Any, peers: Project) -> None:
    running = containers(engine, peers.stack)
    for client, server in (("left", "right"), ("right", "left")):
        address = in_network_of(running[client], "getent", "ahostsv4", "localhost")
        assert address
        status, output = running[client].exec_run(
            ["bash", "-c", f"exec 3<>/dev/tcp/{server}/8000 && echo reached"]
        )
        assert (status, output.decode().strip()) == (0, "reached")
