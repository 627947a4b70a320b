"""Networks made from links: plain data, worked out before anything is made.

There is one network for each server and set of its ports. It holds the server and the clients
that link to just those ports. The clients do not meet there: a service listens only where it is a
server (`Listen`), so on this network just the server listens, and just on those ports. A client
that cannot be told where to listen gets a network of its own with the server.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from strata.model import Link, Problem, Workload, Zone

ZONE_PREFIX = 19  # A /16 holds eight: one a zone, one for what leads out of the stack.
NETWORK_PREFIX = 26
# Addresses of a /26: .1 is the bridge, .2 to .31 are given to servers by us, the upper half is
# given to clients by Docker, so that a client never takes the address of a server that restarts.
SERVERS_MAXIMUM = 30
CLIENTS_MAXIMUM = 30
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class PlannedNetwork:
    """A bridge network. `ports` are those of `server` that its `clients` may call.

    `is_external` is true for the network by which a service reaches, or is reached from, outside
    of the stack; `masquerades` lets connections out to the internet.
    """

    name: str
    subnet: IPv4Network
    server: str
    ports: frozenset[str]
    clients: tuple[str, ...]
    is_external: bool = False
    masquerades: bool = False

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet[1]

    @property
    def client_range(self) -> IPv4Network:
        return list(self.subnet.subnets(prefixlen_diff=1))[1]

    def address(self, replica: int) -> str:
        """The address of a replica (from 0) of the server."""
        return str(self.subnet[2 + replica])


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    networks: tuple[PlannedNetwork, ...]
    problems: tuple[Problem, ...]

    def of(self, service: str) -> tuple[PlannedNetwork, ...]:
        """The networks that a service is on, as server or as client."""
        return tuple(
            one for one in self.networks if service == one.server or service in one.clients
        )

    def peers(self, workload: Workload) -> tuple[str, ...]:
        """The addresses of the replicas on the network that only they share, by ordinal."""
        for network in self.networks:
            if network.server == workload.name and workload.name in network.clients:
                return tuple(network.address(replica) for replica in range(workload.replicas))
        return ()

    def addresses(self, workload: Workload, port: str, replica: int) -> tuple[str, ...]:
        """Where a replica listens on a port: loopback, and the networks that lead to that port."""
        label = next((one.label for one in workload.ports if one.name == port), "")
        return (
            LOOPBACK,
            *(
                one.address(replica)
                for one in self.networks
                if one.server == workload.name and label in one.ports
            ),
        )


def default_range(stack: str) -> IPv4Network:
    """A /16 of 10.128.0.0/9 chosen by the name of the stack."""
    slot = hashlib.sha256(stack.encode()).digest()[0] % 128
    return IPv4Network((f"10.{128 + slot}.0.0", 16))


def plan(
    workloads: Sequence[Workload], links: Sequence[Link], prefix: str, addresses: IPv4Network
) -> NetworkPlan:
    """The networks of a stack; `prefix` begins each name, `addresses` is what they are cut from."""
    by_name = {workload.name: workload for workload in workloads}
    zones = list(addresses.subnets(new_prefix=ZONE_PREFIX))
    wanted = sorted(
        [*_between(by_name, links, prefix), *_outward(workloads, prefix)], key=lambda one: one.name
    )
    taken: set[IPv4Network] = set()
    networks: list[PlannedNetwork] = []
    problems: list[Problem] = []
    for one in wanted:
        zone = 0 if one.is_external else 1 + list(Zone).index(by_name[one.server].zone)
        subnet = _subnet(zones[zone], one.name, taken)
        networks.append(
            PlannedNetwork(
                name=one.name,
                subnet=subnet,
                server=one.server,
                ports=one.ports,
                clients=one.clients,
                is_external=one.is_external,
                masquerades=one.masquerades,
            )
        )
        problems.extend(_too_many(one, by_name))
    return NetworkPlan(networks=tuple(networks), problems=tuple(problems))


@dataclass(frozen=True, kw_only=True)
class _NetworkDemand:
    name: str
    server: str
    ports: frozenset[str]
    clients: tuple[str, ...] = ()
    is_external: bool = False
    masquerades: bool = False


def _between(
    workloads: Mapping[str, Workload], links: Sequence[Link], prefix: str
) -> Iterator[_NetworkDemand]:
    ports: dict[tuple[str, str], set[str]] = defaultdict(set)
    for link in links:
        ports[link.server, link.client].add(link.label)
    clients: dict[tuple[str, frozenset[str], str], list[str]] = defaultdict(list)
    for (server, client), labels in ports.items():
        # Replicas that are peers have a network of their own: a client on it could be reached by them.
        shares = client != server and all(port.bound for port in workloads[client].ports)
        clients[server, frozenset(labels), "" if shares else client].append(client)
    for (server, leads_to, alone), members in clients.items():
        name = "-".join(
            [
                prefix,
                server,
                *sorted(one.replace("/", "").lower() for one in leads_to),
                *([alone] if alone else []),
            ]
        )
        yield _NetworkDemand(
            name=name, server=server, ports=leads_to, clients=tuple(sorted(members))
        )


def _outward(workloads: Sequence[Workload], prefix: str) -> Iterator[_NetworkDemand]:
    for workload in workloads:
        published = frozenset(port.label for port in workload.ports if port.published)
        if published or workload.egress:
            yield _NetworkDemand(
                name=f"{prefix}-{workload.name}-outward",
                server=workload.name,
                ports=published,
                is_external=True,
                masquerades=workload.egress or workload.zone is Zone.FRONTEND,
            )


def _subnet(zone: IPv4Network, name: str, taken: set[IPv4Network]) -> IPv4Network:
    # The slot comes from the name, so that a new link leaves the networks of the others alone
    # (a network that changes its subnet replaces every container on it).
    slots = 2 ** (NETWORK_PREFIX - ZONE_PREFIX)
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    for step in range(slots):
        offset = (first + step) % slots * 2 ** (32 - NETWORK_PREFIX)
        subnet = IPv4Network((int(zone.network_address) + offset, NETWORK_PREFIX))
        if subnet not in taken:
            taken.add(subnet)
            return subnet
    raise ValueError(f"zone {zone} has no subnet left")


def _too_many(wanted: _NetworkDemand, workloads: Mapping[str, Workload]) -> Iterator[Problem]:
    servers = workloads[wanted.server].replicas
    clients = sum(
        _client_containers(workloads[name]) for name in wanted.clients if name != wanted.server
    )
    if servers > SERVERS_MAXIMUM or clients > CLIENTS_MAXIMUM:
        yield Problem(
            workloads[wanted.server].path,
            f"has {servers} replicas and {clients} replicas of clients, a network on Docker holds"
            f" {SERVERS_MAXIMUM} and {CLIENTS_MAXIMUM}",
            "lower the replicas",
        )


def _client_containers(workload: Workload) -> int:
    prepared = bool(workload.prepare)
    return workload.replicas * (2 if prepared else 1)
