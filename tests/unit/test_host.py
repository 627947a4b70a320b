"""What of a Docker host is in the way of a stack is said before anything is made."""

import socket
import sys
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from strata.engine import PREVIEW_ONLY
from strata.model import Port, Resources, Zone
from strata.platforms.docker.addresses import Addresses
from strata.platforms.docker.host import Host, HostGpu, connected, mig_slices, whole_gpus
from strata.platforms.docker.observed import DataVolume, ObservedContainer, repairs
from tests.components.stack import HOST
from tests.unit.examples import service

DATA = DataVolume(name="strata-test-db-data", system=HOST.system, owner=HOST.owner)
RANGE = Addresses(
    stack=IPv4Network("10.200.0.0/16"), zones={Zone.DATA: IPv4Network("172.22.0.0/24")}
)


def paths(host: Host, *services: object) -> list[str]:
    return [one.path for one in host.problems(services, RANGE)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (HOST, []),
        (replace(HOST, disk_free_mib=1023), ["docker: disk"]),
        (replace(HOST, disk_free_mib=1024), []),
        (replace(HOST, disk_free_mib=None), []),
        (replace(HOST, owner="another seed"), ["stack"]),
        (replace(HOST, own_containers={}, own_data=(DATA,)), []),
        (replace(HOST, own_data=(replace(DATA, owner="another seed"),)), ["stack"]),
        (replace(HOST, own_data=(replace(DATA, system="other"),)), ["strata:system"]),
        (
            replace(HOST, foreign_subnets={"other": IPv4Network("10.200.7.0/24")}),
            ["strata:network.range"],
        ),
        (replace(HOST, foreign_subnets={"other": IPv4Network("10.201.0.0/16")}), []),
        (
            replace(HOST, foreign_subnets={"other": IPv4Network("172.16.0.0/12")}),
            ["strata:network.zones.data"],
        ),
        (
            replace(HOST, interfaces={IPv4Network("172.22.0.0/16"): "eth0"}),
            ["strata:network.zones.data"],
        ),
        # A default range isn't chosen for the host, and Docker's routes are narrower.
        (replace(HOST, interfaces={IPv4Network("10.0.0.0/8"): "eth0"}), []),
    ],
)
def test_what_is_in_the_way(host: Host, expected: list[str]) -> None:
    assert paths(host) == expected


def test_a_port_is_in_the_way_unless_the_stack_has_it_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        one = service("a", ports=(Port(name="http", number=80, published=number),))
        assert paths(HOST, one) == ["service a: ports"]
        (gateway,) = HOST.own_containers.values()
        own = {"gateway": replace(gateway, published_ports=frozenset({number}))}
        assert paths(replace(HOST, own_containers=own), one) == []
    assert paths(HOST, one) == []


def test_a_port_is_published_only_on_an_address_of_the_host() -> None:
    """192.0.2.0/24 is for documentation (RFC 5737)."""
    port = Port(name="https", number=443, published=8443, address="192.0.2.10")
    host = replace(HOST, is_local=True)
    (problem,) = host.problems((service("a", ports=(port,)),), RANGE)
    assert problem.message == "192.0.2.10 is not an address of this machine"
    assert "strata:gateway.address" in problem.fix


def test_another_system_names_the_data_it_would_replace() -> None:
    (problem,) = replace(HOST, own_data=(replace(DATA, system="other"),)).problems((), RANGE)
    assert problem.message == (
        "'example' would replace other, whose data this stack has: strata-test-db-data"
    )


def test_a_preview_that_no_update_follows_replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = replace(HOST, own_data=(replace(DATA, owner="another seed", system="other"),))
    monkeypatch.setenv(PREVIEW_ONLY, "1")
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: False)
    assert paths(host) == ["stack", "strata:system"]
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    assert paths(host) == []


RUNNING = HOST.own_containers["gateway"]


@pytest.mark.parametrize(
    ("container", "networks", "expected"),
    [
        (RUNNING, [], []),
        (None, ["a"], ["no longer exists in Docker"]),
        (None, None, ["no longer exists in Docker"]),
        (replace(RUNNING, state="exited"), None, []),
        (replace(RUNNING, state="exited"), [], ["does not run (exited); the update starts it"]),
        (replace(RUNNING, state="paused"), [], ["is paused; the update resumes it"]),
        (replace(RUNNING, is_unhealthy=True), [], ["is unhealthy; the update restarts it"]),
        (
            replace(RUNNING, networks=frozenset({"a"})),
            ["a", "b"],
            ["is not connected to b; the update connects it"],
        ),
    ],
)
def test_a_preview_lists_repairs(
    container: ObservedContainer | None, networks: list[str] | None, expected: list[str]
) -> None:
    assert [line.splitlines()[0] for line in repairs(container, networks)] == expected


def test_cores_that_the_host_has_not_are_refused() -> None:
    pinned = service("a", resources=Resources(memory_mib=64, cpu_set="0,8"))
    assert paths(replace(HOST, cpu=8), pinned) == ["service a: cpu_set"]
    assert paths(replace(HOST, cpu=9), pinned) == []


def test_a_tenth_and_at_least_a_gibibyte_is_kept_for_the_system() -> None:
    assert replace(HOST, memory_mib=30000).capacity(None).usable_memory_mib == 27000
    assert replace(HOST, memory_mib=4096).capacity(None).usable_memory_mib == 3072
    assert replace(HOST, memory_mib=4096).capacity(6).usable_memory_mib == 4090


# Of a host whose second GPU is divided, as NVIDIA's "MIG User Guide" shows both commands.
QUERY = """\
0, GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77, 81559, Disabled
1, GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0, 81559, Enabled
2, GPU-1d217ce4-2b2a-4f6e-9a0f-3c0f8f9d7f11, 24564, [N/A]
"""
LISTED = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
  MIG 3g.40gb     Device  0: (UUID: MIG-c7384736-a75d-5afc-978f-d2f1294409fd)
  MIG 1g.10gb+me  Device  1: (UUID: MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d)
GPU 2: NVIDIA L4 (UUID: GPU-1d217ce4-2b2a-4f6e-9a0f-3c0f8f9d7f11)
"""


def test_a_gpu_that_is_divided_is_had_by_its_slices() -> None:
    assert [one.index for one in whole_gpus(QUERY)] == ["0", "2"]
    assert mig_slices(LISTED) == (
        HostGpu(index="1:0", uuid="MIG-c7384736-a75d-5afc-978f-d2f1294409fd", memory_mib=40 * 1024),
        HostGpu(index="1:1", uuid="MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d", memory_mib=10 * 1024),
    )


def test_where_nothing_answers_there_is_no_gpu() -> None:
    assert whole_gpus("") == mig_slices("") == ()


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is one of a little-endian host")
def test_the_interfaces_of_the_host_are_on_subnets_without_a_gateway() -> None:
    routes = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
wg0	0000010A	010200C0	0003	0	0	0	0000FFFF	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
    assert connected(routes) == {IPv4Network("192.0.2.0/24"): "eth0"}
