"""A stateful service on Docker: each replica has a container, a volume, an address and a name."""

from typing import Any

import pytest

from strata.model import Endpoint
from strata.stack import Stack
from tests.components.example import application, stateful
from tests.components.stack import NAMES, Recorded, compose

REPLICAS = 3
HOSTS = ["store-0", "store-1", "store-2"]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return compose(stateful).recorded


def replicas(recorded: Recorded) -> list[dict[str, Any]]:
    return [recorded.inputs[host] for host in HOSTS]


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, _, value in (one.partition("=") for one in container["envs"])}


def networks(container: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        one["name"].removeprefix(f"{NAMES.prefix}-"): one for one in container["networksAdvanced"]
    }


def test_each_replica_has_a_container_named_by_its_ordinal(recorded: Recorded) -> None:
    assert [one["name"] for one in replicas(recorded)] == [f"strata-test-{host}" for host in HOSTS]
    assert [one["hostname"] for one in replicas(recorded)] == HOSTS


def test_each_replica_has_a_volume_of_its_own(recorded: Recorded) -> None:
    volumes = [f"strata-test-store-data.{ordinal}" for ordinal in range(REPLICAS)]
    created = {one["name"] for one in recorded.of("Volume").values()}
    assert set(volumes) <= created
    for container, volume in zip(replicas(recorded), volumes, strict=True):
        mounts = {one["target"]: one["source"] for one in container["mounts"]}
        assert mounts["/data"] == volume
    shared = {
        one["source"]
        for container in replicas(recorded)
        for one in container["mounts"]
        if one["target"] == "/etc/store"
    }
    assert len(shared) == 1, "replicas share their files"


def test_each_replica_knows_its_name_and_those_of_its_peers(recorded: Recorded) -> None:
    for ordinal, container in enumerate(replicas(recorded)):
        said = variables(container)
        assert said["ORDINAL"] == str(ordinal)
        assert said["HOST"] == HOSTS[ordinal]
        assert said["PEERS"] == "store-0,store-1,store-2"
        assert said["SEEDS"] == "0:store-0:9001 1:store-1:9001 2:store-2:9001"
        assert container["command"] == ["serve", f"--name={HOSTS[ordinal]}"]
        prepare = recorded.inputs[f"{HOSTS[ordinal]}-prepare"]
        assert prepare["command"] == ["join", str(ordinal)]
        assert prepare["mounts"] == container["mounts"]
    (content,) = (text for name, text in recorded.files.items() if name.endswith("/peers"))
    assert content == "store-0\nstore-1\nstore-2"


def test_peers_meet_on_a_network_that_no_client_is_on(recorded: Recorded) -> None:
    peers, clients = "store-9001-9003udp-store", "store-8000"
    addresses = []
    for ordinal, container in enumerate(replicas(recorded)):
        joined = networks(container)
        assert set(joined) == {peers, clients}
        for network in joined.values():
            assert network["aliases"] == ["store", f"{HOSTS[ordinal]}.store", HOSTS[ordinal]]
        addresses.append(joined[peers]["ipv4Address"])
        assert variables(container)["GOSSIP"] == f"127.0.0.1,{addresses[-1]}"
        assert variables(container)["LISTEN_ADDRESSES"] == (
            f"127.0.0.1,{joined[clients]['ipv4Address']}"
        )
        prepare = recorded.inputs[f"{HOSTS[ordinal]}-prepare"]
        assert prepare["networkMode"] == "none", "what prepares a replica calls nobody"
    assert len(set(addresses)) == REPLICAS
    assert set(networks(recorded.service("client"))) == {clients}
    assert recorded.of("Network")[peers]["internal"] is True
    # By name, peers reach each other where they listen to each other.
    for container in replicas(recorded):
        known = {one["host"]: one["ip"] for one in container["hosts"]}
        assert known == dict(zip(HOSTS, addresses, strict=True))


def test_replicas_start_together_and_their_clients_after_all_of_them(recorded: Recorded) -> None:
    for host in HOSTS:
        assert not recorded.dependencies[host] & set(HOSTS)
    assert set(HOSTS) <= recorded.dependencies["client-1"]


def test_two_services_link_to_each_other() -> None:
    def pair(stack: Stack) -> None:
        right = Endpoint(service="right", port="http", number=8000, waits=False)
        left = application(stack, "left", right)
        application(stack, "right", left.endpoint())

    recorded = compose(pair).recorded
    assert set(recorded.of("Network")) == {"left-8000", "right-8000"}
    for name in ("left", "right"):
        joined = networks(recorded.service(name))
        assert {key for key, one in joined.items() if "ipv4Address" in one} == {f"{name}-8000"}
    assert "left-1" in recorded.dependencies["right-1"]
    assert "right-1" not in recorded.dependencies["left-1"]
