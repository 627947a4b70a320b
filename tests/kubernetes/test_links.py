"""The network of the reference system on Kubernetes is its links, and nothing else.

What NetworkPolicies let through is computed from the objects that the API server stores, for every ordered pair of
pods and every port that any of them listens on, and for others in and outside of the cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from strata.model import Workload
from strata.platforms.kubernetes.access import reads_every_pod, reads_kubelets
from strata.platforms.kubernetes.names import NAME
from tests.kubernetes.network import Network, compare, named, tcp
from tests.kubernetes.reachability import Port, connects, outside
from tests.kubernetes.stack import KUBE_SYSTEM, Stack

INTERNET = "93.184.215.14"
# What a pod has no business with: the network of the nodes and its name server, other private networks, the addresses
# of services, shared address space, the metadata of the instance, the agent for Pod Identity, and IPv6.
NOT_THE_INTERNET = (
    "10.64.0.2",
    "10.200.0.1",
    "172.16.0.1",
    "172.20.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.23",
    "2600:1f18::1",
)
# The autoscaler alone has something to ask there: AWS and the API server in the network of the nodes, and the agent.
AUTOSCALER_REACHES = {
    "10.64.0.2": {(443, "TCP")},
    "172.20.0.1": {(443, "TCP")},
    "169.254.170.23": {(80, "TCP")},
}
NAMES = (Port(number=53, protocol="UDP"), Port(number=53))


SCRAPED = {"cluster-autoscaler": (8085,), "dcgm-exporter": (9400,)}


def beyond(process: Workload, address: str) -> set[tuple[int, str]]:
    """What a service or job has to ask at an address that is no pod's."""
    found: set[tuple[int, str]] = set()
    if process.api_access and address in ("10.64.0.2", "172.20.0.1"):
        found |= tcp([443])
    if reads_kubelets(process) and address == "10.64.0.2":
        found |= tcp([10250])
    if process.bucket and address == "169.254.170.23":
        found |= tcp([80])
    return found


@pytest.fixture(scope="module")
def network(reference: Stack) -> Network:
    return Network(reference)


def test_every_pair_of_pods(reference: Stack, network: Network, counted: list[str]) -> None:
    links = reference.plan.links()
    # What would be seen if nothing were: each link is of pods that are there, and listen.
    for client, server, (number, _) in links:
        assert client in network.owners.values()
        servers = [one for name, one in network.pods.items() if network.owners[name] == server]
        assert servers
        assert all(number in {port.number for port in one.ports} for one in servers)
    found = compare(network, links)
    assert not found.differences
    counted.append(
        f"reference on EKS: {found.pairs} ordered pairs of {len(network.pods)} pods, {len(network.ports)} ports each:"
        f" what NetworkPolicies select is the {len(links)} links"
    )


def test_names_outside_are_all_that_anybody_asks_the_cluster(
    reference: Stack, network: Network
) -> None:
    """But for who has access to the API server and kubelets, in whose network pods have addresses,
    and for who reads the metrics of the cluster's own pods."""
    servers = [one for one in network.others if one.labels.get("k8s-app") == "kube-dns"]
    assert servers
    stored = {one["metadata"]["name"]: one["spec"] for one in network.stored}
    asking = set()
    for name, client in network.pods.items():
        service = reference.plan.services.get(network.owners[name])
        asks = service is not None and (service.egress or service.bucket)
        assert (stored[name]["dnsPolicy"] == "ClusterFirst") is asks, name
        asking |= {network.owners[name]} if asks else set()
        for server in network.others:
            wanted = set()
            if asks and server in servers:
                wanted |= {(one.number, one.protocol) for one in NAMES}
            if service and server in servers:
                wanted |= beyond(service, "10.64.0.2")
            if service and reads_every_pod(service):
                wanted |= tcp(SCRAPED.get(server.labels.get(NAME, ""), ()))
            assert network.open(client, server) == wanted, (client.name, server.name)
    assert asking
    assert "gateway" not in asking


def test_the_internet_is_for_those_who_asked(reference: Stack, network: Network) -> None:
    processes = {**reference.plan.services, **reference.plan.jobs}
    reaching = {
        network.owners[name]
        for name, one in network.pods.items()
        if network.open(one, outside(INTERNET))
    }
    assert reaching == {
        name for name, one in reference.plan.services.items() if one.egress or one.bucket
    }
    assert reaching < set(processes)
    for name, one in network.pods.items():
        # What pulls images is no service.
        process = processes.get(network.owners[name])
        if process and process.bucket and not process.egress:
            assert network.open(one, outside(INTERNET)) == tcp([443]), one.name
        for address in NOT_THE_INTERNET:
            wanted = beyond(process, address) if process else set()
            assert network.open(one, outside(address)) == wanted, (one.name, address)


def published(stack: Stack) -> dict[str, set[int]]:
    """By service, the container's ports that its load balancer leads to, from the stored Service."""
    found: dict[str, set[int]] = {}
    for one in stack.cluster.all("v1", "Service", stack.namespace):
        if one["spec"]["type"] != "LoadBalancer":
            continue
        owner = one["spec"]["selector"][NAME]
        numbers = {
            container_port["name"]: container_port["containerPort"]
            for pod in stack.pods(owner)
            for container in pod["spec"]["containers"]
            for container_port in container["ports"]
        }
        found[owner] = {
            numbers.get(port["targetPort"], port["targetPort"]) for port in one["spec"]["ports"]
        }
    return found


def source_ranges(stack: Stack) -> Sequence[str]:
    (balancer,) = [
        one
        for one in stack.cluster.all("v1", "Service", stack.namespace)
        if one["spec"]["type"] == "LoadBalancer"
    ]
    found: Sequence[str] = balancer["spec"]["loadBalancerSourceRanges"]
    return found


def test_from_outside_only_what_is_published_is_reached(reference: Stack, network: Network) -> None:
    ports = published(reference)
    assert set(ports) == {
        name
        for name, one in reference.plan.services.items()
        if any(port.published for port in one.ports)
    }
    for block in source_ranges(reference):
        inside = outside(block.partition("/")[0])
        for name, one in network.pods.items():
            wanted = tcp(ports.get(network.owners[name], ()))
            assert network.open(inside, one) == wanted, (block, name)
    for one in network.pods.values():
        assert not network.open(outside(INTERNET), one), one.name


def test_nobody_else_in_the_cluster_reaches_in(reference: Stack, network: Network) -> None:
    """Not the pods of kube-system, nor one elsewhere that carries the labels of ours.

    Pods have addresses of the network that an internal load balancer is published to, so what it leads to is open to
    them as well, and this alone.
    """
    ports = published(reference)
    strangers = [
        *network.others,
        *(
            replace(
                one, namespace=name, namespace_labels=network.namespaces[name]["metadata"]["labels"]
            )
            for one in network.pods.values()
            for name in ("default", KUBE_SYSTEM)
        ),
    ]
    assert any(one.namespace == KUBE_SYSTEM for one in network.others)
    for stranger in strangers:
        for name, one in network.pods.items():
            reached = network.open(stranger, one)
            assert reached <= tcp(ports.get(network.owners[name], ())), (stranger, name)


def test_what_serves_the_cluster_is_closed_as_well(reference: Stack, network: Network) -> None:
    ours = [one for one in network.others if (one.namespace or "").startswith("strata-")]
    assert {one.namespace for one in ours} == {"strata-prod-agents", "strata-system"}
    for one in ours:
        is_autoscaler = one.labels["app.kubernetes.io/name"] == "cluster-autoscaler"
        for address in (INTERNET, *NOT_THE_INTERNET):
            wanted = AUTOSCALER_REACHES.get(address, set()) if is_autoscaler else set()
            assert network.open(one, outside(address)) == wanted, (one.name, address)
            assert not network.open(outside(address), one), (address, one.name)
        scraped = tcp(SCRAPED.get(one.labels[NAME], ()))
        for name, other in network.pods.items():
            service = reference.plan.services.get(network.owners[name])
            reads = service is not None and reads_every_pod(service)
            assert network.open(other, one) == (scraped if reads else set()), (name, one.name)
        assert not [other for other in network.others if other != one and network.open(other, one)]


def test_a_pod_of_nobody_is_cut_off(reference: Stack, network: Network) -> None:
    """A pod in the namespace that no link knows reaches nothing, not even DNS."""
    intruder = replace(next(iter(network.pods.values())), name="intruder", labels={})
    for one in network.pods.values():
        assert not network.open(intruder, one)
        assert not network.open(one, intruder)
    for one in network.others:
        assert not network.open(intruder, one)
    for address in (INTERNET, *NOT_THE_INTERNET):
        assert not network.open(intruder, outside(address))
        assert not network.open(outside(address), intruder)


def test_every_policy_is_needed(reference: Stack, network: Network) -> None:
    """Without any one of them something that is allowed is not, or the other way round."""

    def everything(policies: list[Any]) -> list[bool]:
        peers = [*network.pods.values(), *network.others, outside(INTERNET)]
        intruder = replace(peers[0], name="intruder", labels={})
        return [
            connects(policies, client, server, named(port, server))
            for client in [*peers, intruder]
            for server in [*peers, intruder]
            if client is not server
            for port in network.ports
        ]

    ours = [one for one in network.policies if one["metadata"]["namespace"] == reference.namespace]
    before = everything(network.policies)
    for left_out in ours:
        rest = [one for one in network.policies if one is not left_out]
        assert everything(rest) != before, left_out["metadata"]["name"]
