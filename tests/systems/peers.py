"""Replicas that talk to each other over TCP and UDP, and two services that link to each other."""

from strata.components import AppService, AppServiceArgs
from strata.model import (
    Endpoint,
    File,
    Listen,
    Ordinal,
    Peers,
    Port,
    Protocol,
    ReplicaHost,
    Resources,
)
from strata.stack import Stack

from .parts import service

SMALL = Resources(memory_mib=48, cpu=0.5, cpu_reserved=0.05, shared_memory_mib=1)

# Answers its own ordinal over UDP, and accepts TCP, on every address that it's told.
GOSSIP = """\
import os, runpy, socket, threading

def answer(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        while True:
            _, peer = server.recvfrom(64)
            server.sendto(os.environ["ORDINAL"].encode(), peer)

for address in os.environ["UDP_ADDRESSES"].split(","):
    for port in (9001, 9002, 9003):
        threading.Thread(target=answer, args=(address, port), daemon=True).start()
runpy.run_path("/opt/probe-server/server.py", run_name="__main__")
"""


def compose(stack: Stack) -> None:
    gossip = AppService(
        "gossip",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            command=("python3", "/etc/gossip/gossip.py"),
            files=(File(path="/etc/gossip/gossip.py", content=GOSSIP),),
            resources=SMALL,
            replicas=3,
            stateful=True,
            ports=(Port(name="gossip", number=9001, last=9003, protocol=Protocol.UDP, peers=True),),
            environment={
                "UDP_ADDRESSES": Listen("gossip"),
                "ORDINAL": Ordinal(),
                "HOST": ReplicaHost(),
                "PEERS": Peers(),
            },
        ),
    )
    service(stack, "left", Endpoint(service="right", port="http", number=8000, waits=False))
    service(stack, "right", Endpoint(service="left", port="http", number=8000, waits=False))
    service(stack, "client", gossip.endpoint())
