"""Who reaches whom in a stack that runs, by the pods and NetworkPolicies that the API server stores."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import permutations

from tests.kubernetes.reachability import Peer, Port, connects, pod
from tests.kubernetes.stack import Stack, owner_of

# Ports that are asked about besides those that somebody listens on.
USUAL = tuple(Port(number=one) for one in (1, 22, 53, 80, 443, 6443, 10250))


class Network:
    """The pods and policies of a stack, as they are stored now."""

    def __init__(self, stack: Stack) -> None:
        cluster = stack.cluster
        self.namespaces = {one["metadata"]["name"]: one for one in cluster.all("v1", "Namespace")}
        self.policies = cluster.all("networking.k8s.io/v1", "NetworkPolicy")
        self.stored = stack.pods()
        self.pods = {one["metadata"]["name"]: pod(one, self.namespaces) for one in self.stored}
        self.owners = {one["metadata"]["name"]: owner_of(one) for one in self.stored}
        self.others = [
            pod(one, self.namespaces)
            for one in cluster.all("v1", "Pod")
            if one["metadata"]["name"] not in self.pods
        ]
        listened = {port.number for one in self.peers for port in one.ports}
        # And the same numbers of UDP.
        self.ports = [
            Port(number=number, protocol=protocol)
            for number in sorted({*listened, *(one.number for one in USUAL)})
            for protocol in ("TCP", "UDP")
        ]

    @property
    def peers(self) -> list[Peer]:
        return [*self.pods.values(), *self.others]

    def open(self, client: Peer, server: Peer) -> set[tuple[int, str]]:
        """The ports of `server` that `client` reaches."""
        return {
            (port.number, port.protocol)
            for port in self.ports
            if connects(self.policies, client, server, named(port, server))
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What of all ordered pairs of pods is not as the links have it, and how many pairs there are."""

    pairs: int
    differences: tuple[str, ...]


def compare(network: Network, links: Set[tuple[str, str, tuple[int, str]]]) -> Comparison:
    """Asks about every ordered pair of pods of the stack."""
    different: list[str] = []
    pairs = 0
    for (client, one), (server, other) in permutations(network.pods.items(), 2):
        ends = (network.owners[client], network.owners[server])
        wanted = {port for *linked, port in links if tuple(linked) == ends}
        found = network.open(one, other)
        if found != wanted:
            different.append(f"{client} to {server}: {sorted(found)}, not {sorted(wanted)}")
        pairs += 1
    return Comparison(pairs=pairs, differences=tuple(different))


def named(port: Port, server: Peer) -> Port:
    """A port as the containers of its pod call it."""
    same = (
        one for one in server.ports if (one.number, one.protocol) == (port.number, port.protocol)
    )
    return next(same, port)


def tcp(numbers: Iterable[int]) -> set[tuple[int, str]]:
    """Ports of TCP, as `Network.open` gives them."""
    return {(number, "TCP") for number in numbers}
