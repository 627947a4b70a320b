"""Plans the networks of a stack from its links: plain data, before anything is created.

Each server has one network per set of ports, for the clients that link to exactly those ports. The
clients can't reach each other there: a service listens only on networks where it is the server
(`Listen`), so only the server listens on this network, and only on those ports. A client that always
listens on every address gets a separate network with the server, which it shares only with clients that
it is linked to in both directions, on each of those ports: the nodes of a cluster.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from types import MappingProxyType

from strata.model import Link, Problem, Workload
from strata.platforms.docker.addresses import NETWORK_PREFIX, ZONE_PREFIX, Addresses, Pool
from strata.platforms.docker.names import SLOTS

# Addresses of a /26: .1 is the bridge, the plan assigns .2 to .31 to servers, and Docker assigns the
# upper half to clients, so that a client never takes the address of a server that restarts.
SERVERS_MAXIMUM = 30
REPLICAS_MAXIMUM = SERVERS_MAXIMUM // SLOTS
"""Of a service that isn't stateful: each replica has an address per slot."""
CLIENTS_MAXIMUM = 30
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A container on a network. Without an `address`, Docker assigns one."""

    network: str
    address: str | None = None
    aliases: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class NetworkDemand:
    """A bridge network without its subnet. `ports` are those of `server` that `clients` may call.

    On an external network a service connects to, or is reached from, outside of the stack;
    `masquerades` allows connections to the internet.
    """

    name: str
    server: str
    ports: frozenset[str]
    clients: tuple[str, ...] = ()
    is_external: bool = False
    masquerades: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedNetwork(NetworkDemand):
    """A bridge network."""

    subnet: IPv4Network

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet[1]

    @property
    def client_range(self) -> IPv4Network:
        return list(self.subnet.subnets(prefixlen_diff=1))[1]

    def address(self, replica: int, slot: int = 0) -> str:
        """The address of a replica (from 0) of the server."""
        # The lower half without the network's own address and the bridge.
        room = self.subnet.num_addresses // 2 - 2
        return str(self.subnet[2 + slot * (room // SLOTS) + replica])


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    networks: tuple[PlannedNetwork, ...]
    problems: tuple[Problem, ...]

    def of(self, service: str) -> tuple[PlannedNetwork, ...]:
        """The networks of a service, as server or as client."""
        return tuple(
            network
            for network in self.networks
            if service == network.server or service in network.clients
        )

    def peers(self, workload: Workload) -> tuple[str, ...]:
        """The addresses of the replicas on the network for peers, by ordinal."""
        for network in self.networks:
            if network.server == workload.name and workload.name in network.clients:
                return tuple(network.address(replica) for replica in range(workload.replicas))
        return ()

    def addresses(
        self, workload: Workload, port: str, replica: int, slot: int = 0
    ) -> tuple[str, ...]:
        """The addresses on which a replica listens on a port: loopback, and one per network of the
        port."""
        label = next((known.label for known in workload.ports if known.name == port), "")
        return (
            LOOPBACK,
            *(
                network.address(replica, slot)
                for network in self.networks
                if network.server == workload.name and label in network.ports
            ),
        )


def plan(
    workloads: Sequence[Workload],
    links: Sequence[Link],
    prefix: str,
    addresses: Addresses,
    present: Mapping[str, IPv4Network] = MappingProxyType({}),
) -> NetworkPlan:
    """The networks of a stack. `prefix`: of every name. `present`: those that the engine has, which
    keep their subnets where they can."""
    by_name = {workload.name: workload for workload in workloads}
    demands = sorted(
        [*_internal(by_name, links, prefix), *_external(workloads, prefix)],
        key=lambda demand: demand.name,
    )
    by_pool: dict[Pool, list[NetworkDemand]] = defaultdict(list)
    for demand in demands:
        by_pool[addresses.pool(by_name[demand.server].zone, demand.is_external)].append(demand)
    networks: list[PlannedNetwork] = []
    problems = [problem for demand in demands for problem in _size_problems(demand, by_name)]
    for pool, members in by_pool.items():
        prefixes = {one.name: pool.prefix(_halves(one, by_name)) for one in members}
        subnets = pool.assign(prefixes, present)
        if pool.zone and len(subnets) < len(members):
            problems.append(pool.too_small(prefixes))
        for demand in members:
            if subnet := subnets.get(demand.name):
                networks.append(PlannedNetwork(**vars(demand), subnet=subnet))
            elif not pool.zone:
                problems.append(_full_zone(demand, by_name[demand.server]))
    networks.sort(key=lambda network: network.name)
    return NetworkPlan(networks=tuple(networks), problems=tuple(problems))


def _internal(
    workloads: Mapping[str, Workload], links: Sequence[Link], prefix: str
) -> Iterator[NetworkDemand]:
    ports: dict[tuple[str, str], set[str]] = defaultdict(set)
    for link in links:
        ports[link.server, link.client].add(link.label)
    clients: dict[tuple[str, frozenset[str]], list[str]] = defaultdict(list)
    for server, client in sorted(ports):
        clients[server, frozenset(ports[server, client])].append(client)
    unbound = {
        name: {port.label for port in workload.ports if not port.bound}
        for name, workload in workloads.items()
    }

    def may_meet(one: str, other: str) -> bool:
        """Whether each is linked to all ports that the other can't close."""
        reached, reaching = ports.get((one, other), set()), ports.get((other, one), set())
        return unbound[one] <= reached and unbound[other] <= reaching

    for (server, server_ports), members in clients.items():
        base = "-".join(
            [prefix, server, *sorted(label.replace("/", "").lower() for label in server_ports)]
        )
        # Peers listen on their network, so a client on it could reach them.
        shares = [client for client in members if client != server and not unbound[client]]
        groups: list[list[str]] = []
        for client in members:
            if client in shares:
                continue
            for group in groups:
                if all(may_meet(client, other) for other in group):
                    group.append(client)
                    break
            else:
                groups.append([client])
        names = [(f"{base}-{group[0]}", group) for group in groups]
        for name, group in [(base, shares), *names] if shares else names:
            yield NetworkDemand(name=name, server=server, ports=server_ports, clients=tuple(group))


def _external(workloads: Sequence[Workload], prefix: str) -> Iterator[NetworkDemand]:
    for workload in workloads:
        published = frozenset(port.label for port in workload.ports if port.published)
        if published or workload.egress:
            yield NetworkDemand(
                name=f"{prefix}-{workload.name}-outward",
                server=workload.name,
                ports=published,
                is_external=True,
                masquerades=workload.egress,
            )


def _full_zone(demand: NetworkDemand, server: Workload) -> Problem:
    where, fix = (
        ("of published ports and egress", "publish fewer services, or give fewer of them egress")
        if demand.is_external
        else (
            f"of zone {server.zone}",
            "move services to another zone, or link all clients of a service to the same ports",
        )
    )
    most = 2 ** (NETWORK_PREFIX - ZONE_PREFIX)
    return Problem(
        server.path,
        f"needs network {demand.name}, but the networks {where} are {most} already",
        fix,
    )


def _halves(demand: NetworkDemand, workloads: Mapping[str, Workload]) -> tuple[int, int]:
    """How many addresses servers need on a network, and how many containers of clients are on it."""
    server = workloads[demand.server]
    clients = sum(
        # An update runs one more.
        (workloads[name].replicas + int(workloads[name].replicas > 1))
        * (2 if workloads[name].prepare else 1)
        for name in demand.clients
        if name != demand.server
    )
    return server.replicas * (1 if server.stateful else SLOTS), clients


def _size_problems(demand: NetworkDemand, workloads: Mapping[str, Workload]) -> Iterator[Problem]:
    server = workloads[demand.server]
    servers, clients = _halves(demand, workloads)
    most = SERVERS_MAXIMUM if server.stateful else REPLICAS_MAXIMUM
    if servers > SERVERS_MAXIMUM or clients > CLIENTS_MAXIMUM:
        yield Problem(
            server.path,
            f"has {server.replicas} replicas and {clients} containers of clients; a Docker network has room"
            f" for {most} and {CLIENTS_MAXIMUM}",
            "use fewer replicas",
        )
