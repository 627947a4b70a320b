"""What of a Docker host is in the way of a stack is said before anything is made."""

import socket
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from platforms.docker.host import Host
from tests.components.stack import HOST
from tests.unit.examples import service
from workload import Port, Resources

RANGE = IPv4Network("10.200.0.0/16")


def paths(host: Host, *services: object) -> list[str]:
    return [one.path for one in host.mistakes(services, RANGE)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HOST, []),
        (replace(HOST, disk_free_mib=1023), ["docker: disk"]),
        (replace(HOST, disk_free_mib=1024), []),
        (replace(HOST, disk_free_mib=None), []),
        (replace(HOST, other_owner=True), ["stack"]),
        (
            replace(HOST, foreign_subnets={"other": IPv4Network("10.200.7.0/24")}),
            ["strata:network.range"],
        ),
        (replace(HOST, foreign_subnets={"other": IPv4Network("10.201.0.0/16")}), []),
    ],
)
def test_what_is_in_the_way(host: Host, expected: list[str]) -> None:
    assert paths(host) == expected


def test_a_port_is_in_the_way_unless_the_stack_has_it_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        one = service("a", ports=(Port(name="http", number=80, published=number),))
        assert paths(HOST, one) == ["service a: ports"]
        assert paths(replace(HOST, own_published_ports=frozenset({number})), one) == []
    assert paths(HOST, one) == []


def test_cores_that_the_host_has_not_are_refused() -> None:
    pinned = service("a", resources=Resources(memory_mib=64, cpu_set="0,8"))
    assert paths(replace(HOST, cpu=8), pinned) == ["service a: cpu_set"]
    assert paths(replace(HOST, cpu=9), pinned) == []


def test_a_tenth_and_at_least_a_gibibyte_is_kept_for_the_system() -> None:
    assert replace(HOST, memory_mib=30000).capacity(None).usable_memory_mib == 27000
    assert replace(HOST, memory_mib=4096).capacity(None).usable_memory_mib == 3072
    assert replace(HOST, memory_mib=4096).capacity(6).usable_memory_mib == 4090
