"""Networks are made from links, and nobody meets on them who is not linked."""

from ipaddress import IPv4Address, IPv4Network

from strata.model import Composition, Overrides, Port, Service, Zone
from strata.platforms.docker import networks
from tests.unit.examples import link, service

RANGE = IPv4Network("10.200.0.0/16")


def plan(*services: Service) -> networks.NetworkPlan:
    composition = Composition(Overrides())
    for one in services:
        composition.add(one)
    assert list(composition.problems()) == []
    return networks.plan(composition.services, composition.links, "p-dev", RANGE)


def members(found: networks.NetworkPlan) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {one.name: (one.server, one.clients) for one in found.networks}


def test_clients_that_listen_where_they_are_told_share_the_network_of_their_server() -> None:
    found = plan(service("a", links=(link("s"),)), service("b", links=(link("s"),)), service("s"))
    assert members(found) == {"p-dev-s-8000": ("s", ("a", "b"))}


def test_a_client_that_listens_everywhere_is_alone_with_its_server() -> None:
    loud = service("b", links=(link("s"),), ports=(Port(name="x", number=1, bound=False),))
    found = plan(service("a", links=(link("s"),)), loud, service("s"))
    assert members(found) == {"p-dev-s-8000": ("s", ("a",)), "p-dev-s-8000-b": ("s", ("b",))}


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


def test_only_what_is_published_or_asks_for_egress_has_a_way_out() -> None:
    found = plan(
        service("in", ports=(Port(name="http", number=80, published=8080),), zone=Zone.FRONTEND),
        service("dashboard", ports=(Port(name="http", number=80, published=8081),)),
        service("out", egress=True),
        service("neither"),
    )
    ways = {one.server: one.masquerades for one in found.networks if one.has_way_out}
    assert ways == {"in": True, "dashboard": False, "out": True}


def test_no_two_networks_overlap_and_each_lies_in_the_range() -> None:
    services = [service(f"s{index}") for index in range(60)]
    clients = [service(f"c{index}", links=(link(f"s{index}"),)) for index in range(60)]
    subnets = [one.subnet for one in plan(*services, *clients).networks]
    assert len(subnets) == 60
    assert all(one.subnet_of(RANGE) for one in subnets)
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)


def test_a_server_never_has_an_address_that_docker_gives_to_clients() -> None:
    found = plan(service("a", links=(link("s"),)), service("s", replicas=30))
    [one] = found.networks
    addresses = [IPv4Address(one.address(replica)) for replica in range(30)]
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
    found = plan(service("a", links=(link("s"),)), service("s", replicas=31))
    assert [problem.path for problem in found.problems] == ["service s"]
