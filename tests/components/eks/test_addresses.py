"""How the range of a VPC is cut."""

from ipaddress import IPv4Network
from itertools import combinations

import pytest

from strata.platforms.eks.aws.addresses import (
    LARGEST_VPC_PREFIX,
    SMALLEST_VPC_PREFIX,
    cut,
    is_private,
    name_server,
)

ZONES = "abcdef"


def _cut_all(vpc: str, zones: str = ZONES) -> list[IPv4Network]:
    return [
        network
        for one in cut(IPv4Network(vpc), zones).values()
        for network in (one.private, one.public)
    ]


def test_a_16_is_cut_into_a_19_and_a_24_for_each_zone() -> None:
    ranges = cut(IPv4Network("10.64.0.0/16"), "abc")
    assert [str(one.private) for one in ranges.values()] == [
        "10.64.0.0/19",
        "10.64.32.0/19",
        "10.64.64.0/19",
    ]
    assert [str(one.public) for one in ranges.values()] == [
        "10.64.224.0/24",
        "10.64.225.0/24",
        "10.64.226.0/24",
    ]


@pytest.mark.parametrize("prefix", range(LARGEST_VPC_PREFIX, SMALLEST_VPC_PREFIX + 1))
def test_no_two_subnets_overlap_and_all_lie_in_the_vpc(prefix: int) -> None:
    vpc = f"10.64.0.0/{prefix}"
    networks = _cut_all(vpc)
    assert len(networks) == 2 * len(ZONES)
    assert all(network.subnet_of(IPv4Network(vpc)) for network in networks)
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


def test_a_zone_that_is_added_leaves_the_others_where_they_are() -> None:
    vpc = IPv4Network("10.64.0.0/16")
    three, four = cut(vpc, "abc"), cut(vpc, "abcd")
    assert {zone: four[zone] for zone in "abc"} == three


def test_the_public_subnets_of_the_smallest_vpc_can_hold_a_load_balancer() -> None:
    ranges = cut(IPv4Network(f"10.64.0.0/{SMALLEST_VPC_PREFIX}"), "abc")
    assert all(one.public.prefixlen <= 27 for one in ranges.values())


@pytest.mark.parametrize(
    ("network", "private"),
    [
        ("10.0.0.0/8", True),
        ("172.31.0.0/16", True),
        ("192.168.4.0/24", True),
        ("172.32.0.0/16", False),
        ("100.64.0.0/16", False),  # carrier-grade translation: EKS takes none of it for services
        ("8.8.0.0/16", False),
        ("0.0.0.0/0", False),
    ],
)
def test_what_is_private(network: str, private: bool) -> None:
    assert is_private(IPv4Network(network)) is private


def test_the_name_server_is_the_tenth_address_of_the_services() -> None:
    assert name_server(IPv4Network("172.20.0.0/16")) == "172.20.0.10"
