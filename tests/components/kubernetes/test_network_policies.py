"""What the network lets pass is what the links say, and how a stack is reached."""

from dataclasses import replace
from typing import Any

import pulumi
import pytest

from strata.model import Zone
from strata.platforms.kubernetes.cluster import Exposure
from strata.platforms.kubernetes.names import NAME
from strata.stack import Stack
from systems.reference import compose as reference
from tests.cluster_ip import cluster_ip
from tests.components.example import application
from tests.components.kubernetes.example import composed, job
from tests.components.kubernetes.stack import (
    EXPOSURE,
    NAMES,
    NAMESPACE,
    FakeCluster,
    Recorded,
    compose,
)


def allowed(recorded: Recorded) -> set[tuple[str, str, int]]:
    """Who may open connections to whom, by the policies of both sides."""
    sent: set[tuple[str, str, int]] = set()
    received: set[tuple[str, str, int]] = set()
    for policy in recorded.of("NetworkPolicy").values():
        spec = policy["spec"]
        own = spec["podSelector"].get("matchLabels", {}).get(NAME, "")
        for rule in spec.get("egress", []):
            for peer in rule["to"]:
                # The DNS servers have no such label.
                if NAME in peer.get("podSelector", {}).get("matchLabels", {}):
                    other = peer["podSelector"]["matchLabels"][NAME]
                    sent |= {(own, other, int(port["port"])) for port in rule["ports"]}
        for rule in spec.get("ingress", []):
            for peer in rule["from"]:
                if "podSelector" in peer:
                    other = peer["podSelector"]["matchLabels"][NAME]
                    received |= {(other, own, int(port["port"])) for port in rule["ports"]}
    assert sent == received
    return sent


def test_the_policies_are_the_links() -> None:
    made = compose(lambda stack: reference(stack))
    links = {(one["client"], one["server"], int(one["port"])) for one in made.outputs["links"]}
    assert allowed(made.recorded) == links
    assert len(links) > 8


def test_a_job_is_a_client_as_well() -> None:
    def describe(stack: Stack) -> None:
        server = application(stack, "server")
        job(stack, calls={"SERVER_URL": server.endpoint()})

    recorded = compose(describe).recorded
    assert allowed(recorded) == {("job", "server", 8000)}
    policy = recorded.inputs["NetworkPolicy", "server"]["spec"]["ingress"]
    assert policy[0]["from"] == [{"podSelector": {"matchLabels": NAMES.selector("job")}}]


def test_everything_else_is_denied_both_ways() -> None:
    recorded = composed().recorded
    spec = recorded.inputs["NetworkPolicy", f"{NAMESPACE}-default-deny"]["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    # Neither clients nor servers nor a way out: there is nothing to allow.
    assert set(recorded.of("NetworkPolicy")) == {f"{NAMESPACE}-default-deny"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"egress": True}, True),
        ({"published": 8080}, False),
        ({"published": 8080, "zone": Zone.FRONTEND}, False),
    ],
)
def test_the_way_out(fields: dict[str, Any], expected: bool) -> None:
    policy = composed(**fields).recorded.of("NetworkPolicy").get("app", {"spec": {}})
    peers = [peer for rule in policy["spec"].get("egress", []) for peer in rule["to"]]
    blocks = [peer["ipBlock"] for peer in peers if "ipBlock" in peer]
    assert bool(blocks) is expected
    for block in blocks:
        assert block["cidr"] == "0.0.0.0/0"
        assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"} <= set(block["except"])


def test_what_is_published_is_open_to_the_ranges_alone() -> None:
    exposure = replace(EXPOSURE, source_ranges=("192.0.2.0/24",))
    recorded = compose(
        lambda stack: _published(stack), cluster=FakeCluster(exposure=exposure)
    ).recorded
    (grant,) = recorded.inputs["NetworkPolicy", "app"]["spec"]["ingress"]
    assert grant == {
        "from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"port": 8000, "protocol": "TCP"}],
    }
    balancer = recorded.inputs["Service", "app-public"]["spec"]
    assert balancer["type"] == "LoadBalancer"
    assert balancer["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    assert balancer["externalTrafficPolicy"] == "Local"
    assert balancer["ports"] == [
        {"name": "http", "port": 80, "targetPort": 8000, "protocol": "TCP"}
    ]


def test_where_there_is_https_nothing_is_offered_in_the_clear() -> None:
    made = compose(lambda stack: reference(stack))
    balancer = made.recorded.inputs["Service", "gateway-public"]["spec"]
    assert balancer["ports"] == [
        {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"}
    ]
    policy = made.recorded.inputs["NetworkPolicy", "gateway"]["spec"]["ingress"]
    outside = [rule for rule in policy if any("ipBlock" in peer for peer in rule["from"])]
    assert [port["port"] for rule in outside for port in rule["ports"]] == [8443]
    assert made.outputs["urls"] == {"gateway": "https://lb.test"}


def test_a_domain_is_told_of_the_load_balancer() -> None:
    told: list[str] = []

    def published(host: pulumi.Output[str]) -> None:
        host.apply(told.append)

    exposure = Exposure(
        source_ranges=("10.0.0.0/8",),
        annotations={"a": "b"},
        host="strata.example.com",
        published=published,
    )
    made = compose(lambda stack: reference(stack), cluster=FakeCluster(exposure=exposure))
    assert told == ["lb.test"]
    assert made.outputs["urls"] == {"gateway": "https://strata.example.com"}
    metadata = made.recorded.inputs["Service", "gateway-public"]["metadata"]
    assert metadata["annotations"] == {"a": "b"}


def test_a_name_for_clients_that_nobody_outside_can_use() -> None:
    spec = composed().recorded.inputs["Service", "app"]["spec"]
    assert spec == {
        "type": "ClusterIP",
        "selector": NAMES.selector("app"),
        "ports": [{"name": "http", "port": 8000, "targetPort": 8000, "protocol": "TCP"}],
    }


def test_the_gateway_finds_services_by_their_addresses() -> None:
    recorded = compose(lambda stack: reference(stack)).recorded
    (secret,) = [
        one
        for one in recorded.of("Secret").values()
        if one["metadata"]["name"].startswith("gateway-")
    ]
    configuration = secret["stringData"]["nginx.conf"]
    assert "resolver 127.0.0.1 " in configuration
    assert f" {cluster_ip('api')}:8000;" in configuration
    assert "listen 0.0.0.0:8443 ssl;" in configuration


def _published(stack: Stack) -> None:
    application(stack, "app", published=18000)
