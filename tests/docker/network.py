"""What is seen from inside the network of a container."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
AT_ONCE = 8

# Run in the client's network namespace; each line of input is an address and a port.
CONNECT = """
import socket, sys
from concurrent.futures import ThreadPoolExecutor

def connects(line):
    address, port = line.split()
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((address, int(port))) == 0

with ThreadPoolExecutor(32) as pool:
    for answer in pool.map(connects, sys.stdin.readlines()):
        print(answer)
"""


def in_network_of(container: Any, *command: str, text: str = "") -> str:
    """What a command of this host prints when it is run in the network of a container."""
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


def connections(container: Any, *targets: tuple[str, int]) -> list[bool]:
    """Whether each of these (address, port) takes a connection that comes from the container."""
    asked = "".join(f"{address} {port}\n" for address, port in targets)
    answers = in_network_of(container, sys.executable, "-c", CONNECT, text=asked).splitlines()
    assert len(answers) == len(targets)
    return [answer == "True" for answer in answers]


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


def reached(services: Mapping[str, Any]) -> set[tuple[str, str, int]]:
    """The client, server and port of each connection that succeeds. Every ordered pair of services is
    tried, on every port that the server listens on and at every address it has."""
    ports = in_each(services, listening)

    def reach(client: str, container: Any) -> set[tuple[str, str, int]]:
        targets = [
            (server, address, port)
            for server, other in services.items()
            if server != client
            for address in addresses(other)
            for port in ports[server]
        ]
        answers = connections(container, *((address, port) for _, address, port in targets))
        return {
            (client, server, port)
            for (server, _, port), answer in zip(targets, answers, strict=True)
            if answer
        }

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return set().union(*pool.map(reach, services.keys(), services.values()))


def in_each(services: Mapping[str, Any], look: Callable[[Any], T]) -> dict[str, T]:
    """What is seen in the network of each service. Most of the time is spent on connections that fail."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(services, pool.map(look, services.values()), strict=True))
