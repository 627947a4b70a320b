"""Networks are made from links, and nobody meets on them who is not linked."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

import pytest

from strata.model import Composition, Overrides, Port, Protocol, Service, Zone
from strata.platforms.docker import networks
from strata.platforms.docker.addresses import Addresses
from tests.unit.examples import link, service

RANGE = IPv4Network("10.200.0.0/16")
DATA = IPv4Network("172.22.0.0/24")


def plan(
    *services: Service,
    zones: Mapping[Zone, IPv4Network] | None = None,
    present: Mapping[str, IPv4Network] | None = None,
) -> networks.NetworkPlan:
    composition = Composition(Overrides())
    for one in services:
        composition.add(one)
    assert list(composition.problems()) == []
    addresses = Addresses(stack=RANGE, zones=zones or {})
    return networks.plan(composition.services, composition.links, "p-dev", addresses, present or {})


def members(found: networks.NetworkPlan) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {one.name: (one.server, one.clients) for one in found.networks}


def test_clients_that_listen_where_they_are_told_share_the_network_of_their_server() -> None:
    found = plan(service("a", links=(link("s"),)), service("b", links=(link("s"),)), service("s"))
    assert members(found) == {"p-dev-s-8000": ("s", ("a", "b"))}


def test_a_client_that_listens_everywhere_is_alone_with_its_server() -> None:
    loud = service("b", links=(link("s"),), ports=(Port(name="x", number=1, bound=False),))
    found = plan(service("a", links=(link("s"),)), loud, service("s"))
    assert members(found) == {"p-dev-s-8000": ("s", ("a",)), "p-dev-s-8000-b": ("s", ("b",))}


def node(name: str, *others: str) -> Service:
    """A node that listens everywhere, and is linked to all others."""
    ports = (Port(name="http", number=8000, bound=False, peers=True),)
    links = (link("s"), *(link(other).without_waiting() for other in others))
    return service(name, ports=ports, links=links)


def test_nodes_of_a_cluster_share_the_network_of_each_of_them_and_of_a_server() -> None:
    a, b = node("a", "b"), node("b", "a")
    found = plan(a, b, node("c"), service("s"))
    assert members(found) == {
        "p-dev-a-8000-a": ("a", ("a", "b")),
        "p-dev-b-8000-a": ("b", ("a", "b")),
        "p-dev-c-8000-c": ("c", ("c",)),
        "p-dev-s-8000-a": ("s", ("a", "b")),
        "p-dev-s-8000-c": ("s", ("c",)),
    }
    for one in (a, b):
        # One address that all others reach, which it can announce.
        [own] = [network for network in found.networks if network.server == one.name]
        assert found.addresses(one, "http", 0) == ("127.0.0.1", own.address(0))


def test_clients_that_listen_everywhere_and_are_linked_in_one_direction_do_not_share() -> None:
    found = plan(node("a", "b"), node("b"), service("s"))
    assert members(found).keys() >= {"p-dev-s-8000-a", "p-dev-s-8000-b"}


def test_clients_of_different_ports_do_not_share() -> None:
    server = service("s", ports=(Port(name="http", number=8000), Port(name="ops", number=9000)))
    found = plan(
        service("a", links=(link("s"),)), service("b", links=(link("s", 9000, "ops"),)), server
    )
    assert members(found) == {"p-dev-s-8000": ("s", ("a",)), "p-dev-s-9000": ("s", ("b",))}
    [http] = [one for one in found.networks if one.ports == {"8000"}]
    assert found.addresses(server, "http", 0) == ("127.0.0.1", http.address(0))


def test_a_service_listens_nowhere_where_it_is_a_client() -> None:
    middle = service("m", links=(link("s"),))
    found = plan(service("a", links=(link("m"),)), middle, service("s"))
    [own] = [one for one in found.networks if one.server == "m"]
    assert found.addresses(middle, "http", 0) == ("127.0.0.1", own.address(0))


def test_only_what_asks_for_egress_has_a_way_out() -> None:
    found = plan(
        service("in", ports=(Port(name="http", number=80, published=8080),), zone=Zone.FRONTEND),
        service("dashboard", ports=(Port(name="http", number=80, published=8081),)),
        service("out", egress=True),
        service("neither"),
    )
    ways = {one.server: one.masquerades for one in found.networks if one.is_external}
    assert ways == {"in": False, "dashboard": False, "out": True}


def test_no_two_networks_overlap_and_each_lies_in_the_range() -> None:
    services = [service(f"s{index}") for index in range(60)]
    clients = [service(f"c{index}", links=(link(f"s{index}"),)) for index in range(60)]
    subnets = [one.subnet for one in plan(*services, *clients).networks]
    assert len(subnets) == 60
    assert all(one.subnet_of(RANGE) for one in subnets)
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)


def test_a_server_never_has_an_address_that_docker_gives_to_clients() -> None:
    found = plan(service("a", links=(link("s"),)), service("s", replicas=15))
    [one] = found.networks
    addresses = [
        IPv4Address(one.address(replica, slot)) for replica in range(15) for slot in range(2)
    ]
    assert len(set(addresses)) == 30
    assert one.gateway not in addresses
    assert not any(address in one.client_range for address in addresses)


def test_a_new_link_leaves_the_other_networks_where_they_are() -> None:
    described = [service("a", links=(link("s"),)), service("s")]
    before = {one.name: one.subnet for one in plan(*described).networks}
    after = {
        one.name: one.subnet
        for one in plan(*described, service("b", links=(link("t"),)), service("t")).networks
    }
    assert before.items() <= after.items()


def test_too_many_replicas_for_a_network_are_refused() -> None:
    for replicas, expected in ((15, []), (16, ["service s"])):
        found = plan(service("a", links=(link("s"),)), service("s", replicas=replicas))
        assert [problem.path for problem in found.problems] == expected


GOSSIP = Port(name="gossip", number=9001, last=9003, protocol=Protocol.UDP, peers=True)
HTTP = Port(name="http", number=8000)


def test_ports_with_a_protocol_and_a_range_are_part_of_the_name() -> None:
    ports = (HTTP, Port(name="dns", number=8000, last=8003, protocol=Protocol.UDP))
    server = service("s", ports=ports)
    found = plan(
        service("a", links=(server.endpoint("http"),)),
        service("b", links=(server.endpoint("dns"),)),
        service("c", links=(server.endpoint("dns"), server.endpoint("http"))),
        server,
    )
    assert members(found) == {
        "p-dev-s-8000": ("s", ("a",)),
        "p-dev-s-8000-8003udp": ("s", ("b",)),
        "p-dev-s-8000-8000-8003udp": ("s", ("c",)),
    }
    networks_of = {one.clients: one for one in found.networks}
    only_http, only_dns, both = (networks_of[clients] for clients in (("a",), ("b",), ("c",)))
    assert set(found.addresses(server, "http", 0)) == {
        "127.0.0.1",
        only_http.address(0),
        both.address(0),
    }
    assert set(found.addresses(server, "dns", 0)) == {
        "127.0.0.1",
        only_dns.address(0),
        both.address(0),
    }


def test_peers_share_a_network_that_their_clients_are_not_on() -> None:
    cluster = service("s", replicas=3, stateful=True, ports=(HTTP, GOSSIP))
    found = plan(service("a", links=(cluster.endpoint("http"),)), cluster)
    assert members(found) == {
        "p-dev-s-8000": ("s", ("a",)),
        "p-dev-s-9001-9003udp-s": ("s", ("s",)),
    }
    [clients, peers] = sorted(found.networks, key=lambda one: one.clients)
    assert found.peers(cluster) == tuple(peers.address(replica) for replica in range(3))
    assert len(set(found.peers(cluster))) == 3
    for replica in range(3):
        assert found.addresses(cluster, "gossip", replica) == ("127.0.0.1", peers.address(replica))
        assert found.addresses(cluster, "http", replica) == ("127.0.0.1", clients.address(replica))


def test_a_port_for_clients_and_peers_is_on_both_networks() -> None:
    both = Port(name="http", number=8000, peers=True)
    cluster = service("s", replicas=2, stateful=True, ports=(both,))
    found = plan(service("a", links=(cluster.endpoint("http"),)), cluster)
    assert len(found.networks) == 2
    assert set(found.addresses(cluster, "http", 1)) == {
        "127.0.0.1",
        *(one.address(1) for one in found.networks),
    }


def test_services_without_peers_have_no_network_of_peers() -> None:
    alone = service("s", replicas=3)
    assert plan(alone).peers(alone) == ()


def test_services_that_link_to_each_other_each_listen_on_their_own_network() -> None:
    left = service("left", links=(link("right").without_waiting(),))
    right = service("right", links=(link("left"),))
    found = plan(left, right)
    assert members(found) == {
        "p-dev-left-8000": ("left", ("right",)),
        "p-dev-right-8000": ("right", ("left",)),
    }
    for one in (left, right):
        [own] = [network for network in found.networks if network.server == one.name]
        assert found.addresses(one, "http", 0) == ("127.0.0.1", own.address(0))


def test_too_many_peers_for_a_network_are_reported() -> None:
    peers = (Port(name="http", number=8000, peers=True),)
    for replicas, expected in ((30, []), (31, ["service s"])):
        found = plan(service("s", replicas=replicas, stateful=True, ports=peers))
        assert [problem.path for problem in found.problems] == expected


def test_a_zone_with_too_many_networks_is_a_problem() -> None:
    servers = [service(f"s{index}") for index in range(130)]
    clients = [service(f"c{index}", links=(link(f"s{index}"),)) for index in range(130)]
    found = plan(*servers, *clients)
    assert len(found.networks) == 128
    assert [(one.path, one.message.partition(", ")[2]) for one in found.problems] == [
        (f"service s{index}", "but the networks of zone backend are 128 already")
        for index in (98, 99)
    ]


def pairs(count: int, *, zone: Zone = Zone.DATA, replicas: int = 1) -> list[Service]:
    """Servers in a zone, each with a client in another."""
    servers = [service(f"s{index}", zone=zone, replicas=replicas) for index in range(count)]
    clients = [service(f"c{index}", links=(link(f"s{index}"),)) for index in range(count)]
    return [*servers, *clients]


def test_a_zone_with_a_range_has_the_networks_of_its_servers() -> None:
    public = service("p", zone=Zone.DATA, ports=(Port(name="x", number=1, published=18000),))
    found = plan(*pairs(3), public, *pairs(0), zones={Zone.DATA: DATA})
    assert len(found.networks) == 4
    assert all(one.subnet.subnet_of(DATA) and one.subnet.prefixlen == 28 for one in found.networks)
    assert found.problems == ()


def test_other_zones_stay_where_they_are() -> None:
    described = [*pairs(2), service("b", links=(link("t"),)), service("t")]
    before = {one.name: one.subnet for one in plan(*described).networks}
    after = {one.name: one.subnet for one in plan(*described, zones={Zone.DATA: DATA}).networks}
    assert before["p-dev-t-8000"] == after["p-dev-t-8000"]
    assert before["p-dev-s0-8000"] != after["p-dev-s0-8000"]


@pytest.mark.parametrize(
    ("replicas", "prefix"), [(1, 28), (3, 28), (4, 27), (7, 27), (8, 26), (15, 26)]
)
def test_a_network_in_a_range_is_as_large_as_its_containers_need(
    replicas: int, prefix: int
) -> None:
    [found] = plan(*pairs(1, replicas=replicas), zones={Zone.DATA: DATA}).networks
    assert found.subnet.prefixlen == prefix
    servers = {
        IPv4Address(found.address(each, slot)) for each in range(replicas) for slot in range(2)
    }
    assert len(servers) == 2 * replicas
    assert all(each in found.subnet and each not in found.client_range for each in servers)


@pytest.mark.parametrize(("clients", "prefix"), [(7, 28), (8, 27), (15, 27), (16, 26)])
def test_clients_count_too(clients: int, prefix: int) -> None:
    described = [service(f"c{index}", links=(link("s"),)) for index in range(clients)]
    [found] = plan(*described, service("s", zone=Zone.DATA), zones={Zone.DATA: DATA}).networks
    assert found.subnet.prefixlen == prefix
    # The last address is the broadcast's.
    assert found.client_range.num_addresses - 1 >= clients


def test_networks_of_different_sizes_fill_a_range() -> None:
    large = [service("l", zone=Zone.DATA, replicas=12), service("k", links=(link("l"),))]
    found = plan(*pairs(12), *large, zones={Zone.DATA: DATA})
    subnets = [one.subnet for one in found.networks]
    assert len(subnets) == 13
    assert found.problems == ()
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)


@pytest.mark.parametrize(
    ("count", "range_", "expected"),
    [
        (16, "172.22.0.0/24", None),
        (17, "172.22.0.0/24", ("fits 16 networks, and the zone needs 17 (272 addresses)", 23)),
        (3, "172.22.0.0/27", ("fits 2 networks, and the zone needs 3 (48 addresses)", 26)),
    ],
)
def test_a_range_that_is_too_small(
    count: int, range_: str, expected: tuple[str, int] | None
) -> None:
    found = plan(*pairs(count), zones={Zone.DATA: IPv4Network(range_)})
    problems = [(one.path, one.message, one.fix) for one in found.problems]
    assert problems == (
        [
            (
                "strata:network.zones.data",
                f"{range_} {expected[0]}",
                f"use a /{expected[1]} or larger",
            )
        ]
        if expected
        else []
    )


def test_a_network_larger_than_the_range() -> None:
    found = plan(*pairs(1, replicas=12), zones={Zone.DATA: IPv4Network("172.22.0.0/28")})
    [problem] = found.problems
    assert "fits 0 networks, and the zone needs 1 (64 addresses)" in problem.message


@pytest.mark.parametrize("zones", [{}, {Zone.DATA: DATA}])
def test_a_network_that_exists_keeps_its_subnet(zones: Mapping[Zone, IPv4Network]) -> None:
    """In a full range, a new network would otherwise move others."""
    before = {one.name: one.subnet for one in plan(*pairs(12), zones=zones).networks}
    after = plan(*pairs(16), zones=zones, present=before)
    assert {one.name: one.subnet for one in after.networks}.items() >= before.items()
    assert after.problems == ()


def test_a_new_network_avoids_one_that_is_about_to_be_deleted() -> None:
    zones = {Zone.DATA: DATA}
    [new] = plan(*pairs(1), zones=zones).networks
    present = {"p-dev-old": new.subnet}
    [moved] = plan(*pairs(1), zones=zones, present=present).networks
    assert not moved.subnet.overlaps(new.subnet)


def test_ranges_overlap_neither_each_other_nor_that_of_the_stack() -> None:
    zones = {
        Zone.DATA: DATA,
        Zone.BACKEND: IPv4Network("172.22.0.128/25"),
        Zone.COMPUTE: IPv4Network("10.200.7.0/24"),
    }
    found = Addresses(stack=RANGE, zones=zones).problems()
    assert [f"{one.path}: {one.message}" for one in found] == [
        "strata:network.zones.backend: 172.22.0.128/25 overlaps 172.22.0.0/24 of"
        " strata:network.zones.data",
        "strata:network.zones.compute: 10.200.7.0/24 overlaps 10.200.0.0/16 of strata:network.range",
    ]
