"""What is seen from inside the network of a container."""

import subprocess
import sys
from typing import Any

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
