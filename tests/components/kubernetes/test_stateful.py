"""A stateful service on Kubernetes: a StatefulSet whose pods have names, claims and peers."""

from typing import Any

import pytest

from strata.model import Port
from strata.platforms.kubernetes.names import NAME
from strata.stack import Stack
from tests.cluster_ip import cluster_ip
from tests.components.example import application, stateful
from tests.components.kubernetes.stack import NAMES, Recorded, compose, refused
from tests.parity.row import dig

HOSTS = ["store-0.store-pods", "store-1.store-pods", "store-2.store-pods"]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return compose(stateful).recorded


def rules(recorded: Recorded, name: str, direction: str) -> list[tuple[str, dict[str, Any]]]:
    """By peer, the ports that the NetworkPolicy of a service opens."""
    policy = recorded.of("NetworkPolicy")[name]["spec"]
    end = "from" if direction == "ingress" else "to"
    return [
        (dig(rule, end, 0, "podSelector", "matchLabels", NAME), port)
        for rule in policy.get(direction, ())
        for port in rule["ports"]
    ]


def test_it_is_a_stateful_set_with_a_headless_service(recorded: Recorded) -> None:
    spec = recorded.of("StatefulSet")["store"]["spec"]
    assert (spec["replicas"], spec["serviceName"]) == (3, "store-pods")
    headless = recorded.of("Service")["store-pods"]["spec"]
    assert headless["clusterIP"] == "None"
    # Peers look each other up before any of them is ready.
    assert headless["publishNotReadyAddresses"] is True
    assert recorded.of("Service")["store"]["spec"].get("clusterIP") != "None"


def test_each_replica_has_an_address_that_outlives_its_pod(recorded: Recorded) -> None:
    for ordinal in range(3):
        spec = recorded.of("Service")[f"store-{ordinal}"]["spec"]
        assert "clusterIP" not in spec
        assert spec["publishNotReadyAddresses"] is True
        assert spec["selector"] == {
            **NAMES.selector("store"),
            "statefulset.kubernetes.io/pod-name": f"store-{ordinal}",
        }
        assert spec["ports"] == recorded.of("Service")["store"]["spec"]["ports"]


@pytest.mark.parametrize("name", ["store", "client"])
def test_peers_and_clients_resolve_the_names_of_replicas(recorded: Recorded, name: str) -> None:
    hosts = {one["hostnames"][0]: one["ip"] for one in recorded.pod(name)["hostAliases"]}
    services = {host: host.partition(".")[0] for host in ("store", *HOSTS)}
    assert hosts == {host: cluster_ip(service) for host, service in services.items()}


def test_the_name_of_a_replica_is_taken() -> None:
    def describe(stack: Stack) -> None:
        stateful(stack)
        application(stack, "store-1")

    error, _ = refused(describe)
    assert [one.path for one in error.problems] == ["service store-1: name"]


def test_each_replica_has_a_protected_claim(recorded: Recorded) -> None:
    claims = recorded.of("PersistentVolumeClaim")
    assert set(claims) == {f"data-store-{ordinal}" for ordinal in range(3)}
    for name in claims:
        assert ("PersistentVolumeClaim", name) in recorded.protected


def test_each_replica_knows_its_name_and_those_of_its_peers(recorded: Recorded) -> None:
    container = recorded.container("store")
    variables = {one["name"]: one for one in container["env"]}
    fields = {
        name: one["valueFrom"]["fieldRef"]["fieldPath"]
        for name, one in variables.items()
        if "valueFrom" in one
    }
    [ordinal] = [name for name, path in fields.items() if "pod-index" in path]
    [pod] = [name for name, path in fields.items() if path == "metadata.name"]
    assert variables["ORDINAL"]["value"] == f"$({ordinal})"
    assert variables["HOST"]["value"] == f"$({pod}).store-pods"
    assert variables["PEERS"]["value"] == ",".join(HOSTS)
    assert container["args"] == ["serve", f"--name=$({pod}).store-pods"]
    # A variable is expanded in those that follow it.
    order = list(variables)
    assert max(order.index(ordinal), order.index(pod)) < order.index("HOST")
    contents = [one["data"] for one in recorded.of("ConfigMap").values() if "data" in one]
    assert {"peers": "\n".join(HOSTS)} in contents


def test_peers_and_clients_connect_to_their_own_ports(recorded: Recorded) -> None:
    gossip = {"port": 9001, "endPort": 9003, "protocol": "UDP"}
    http = {"port": 8000, "protocol": "TCP"}
    assert sorted(rules(recorded, "store", "ingress"), key=str) == [
        ("client", http),
        ("store", gossip),
    ]
    assert rules(recorded, "store", "egress") == [("store", gossip)]
    assert rules(recorded, "client", "egress") == [("store", http)]


@pytest.mark.parametrize(("name", "fits"), [("ten-letter", False), ("nine-char", True)])
def test_the_name_of_a_range_leaves_room_for_its_numbers(name: str, fits: bool) -> None:
    ports = (Port(name=name, number=10000, last=10001),)

    def describe(stack: Stack) -> None:
        application(stack, "app", ports=ports)

    if fits:
        published = compose(describe).recorded.of("Service")["app"]["spec"]["ports"]
        assert [one["name"] for one in published] == ["http", f"{name}-10000", f"{name}-10001"]
        return
    error, _ = refused(describe)
    assert [one.path for one in error.problems] == ["service app: ports"]
