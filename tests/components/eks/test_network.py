"""The network of a stack."""

from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest

from strata.config.aws import AwsSettings, Nat
from strata.platforms.eks.aws.network import INTERFACE_ENDPOINTS, Network, NetworkArgs
from tests.components.eks.examples import LOCATION, ancestors, make, only
from tests.planned import Planned, Program

ARGS: dict[str, Any] = {
    "location": LOCATION,
    "log_key_arn": "arn:aws:kms:us-east-1:111122223333:key/logs",
}
SETTINGS: dict[str, Any] = {
    "range": IPv4Network("10.64.0.0/16"),
    "zone_letters": ("a", "b", "c"),
    "nat": Nat.PER_ZONE,
    "log_retention_days": 90,
}


def _network(**changes: Any) -> Program:
    def part(opts: pulumi.ResourceOptions) -> Network:
        aws = AwsSettings().model_copy(update={**SETTINGS, **changes})
        return Network("network", NetworkArgs(**ARGS, aws=aws), opts)

    return make(part)


@pytest.fixture(scope="module")
def network() -> Program:
    return _network()


def _named(program: Program, kind: str) -> dict[str, Planned]:
    return {one.name: one for one in program.of(kind)}


def test_everything_belongs_to_the_component(network: Program) -> None:
    for one in network.resources:
        if one.custom:
            assert "strata:eks:Network" in ancestors(network, one), one.urn


def test_there_is_a_private_and_a_public_subnet_in_each_zone(network: Program) -> None:
    subnets = _named(network, ":Subnet")
    assert {name: one.inputs["availabilityZone"] for name, one in subnets.items()} == {
        f"network-{kind}-{zone}": f"us-east-1{zone}"
        for kind in ("private", "public")
        for zone in "abc"
    }


def test_no_subnet_gives_machines_a_public_address(network: Program) -> None:
    for subnet in network.of(":Subnet"):
        assert subnet.inputs["mapPublicIpOnLaunch"] is False


@pytest.mark.parametrize(("kind", "role"), [("private", "internal-elb"), ("public", "elb")])
def test_the_clusters_controller_finds_the_subnets_of_its_load_balancers(
    network: Program, kind: str, role: str
) -> None:
    for name, subnet in _named(network, ":Subnet").items():
        tags = subnet.inputs["tags"]
        assert (f"kubernetes.io/role/{role}" in tags) is (f"-{kind}-" in name)
        assert tags["kubernetes.io/cluster/strata-prod"] == "shared"


def _way_out(program: Program, subnet: str) -> Planned:
    """The route to the world of a subnet, by the route table that it is associated with."""
    association = _named(program, ":RouteTableAssociation")[subnet]
    assert association.inputs["subnetId"] == f"{subnet}-id"
    (route,) = (
        one
        for one in program.of(":Route")
        if one.inputs["routeTableId"] == association.inputs["routeTableId"]
    )
    assert route.inputs["destinationCidrBlock"] == "0.0.0.0/0"
    return route


def test_each_zone_has_its_own_way_out(network: Program) -> None:
    for zone in "abc":
        out = _way_out(network, f"network-private-{zone}")
        assert out.inputs["natGatewayId"] == f"network-nat-{zone}-id"
        gateway = _named(network, ":NatGateway")[f"network-nat-{zone}"]
        assert gateway.inputs["subnetId"] == f"network-public-{zone}-id"


def test_one_nat_gateway_serves_all_zones_when_there_is_to_be_one() -> None:
    network = _network(nat=Nat.ONE)
    assert only(network, ":NatGateway").inputs["subnetId"] == "network-public-a-id"
    assert len(network.of(":Eip")) == 1
    for zone in "abc":
        out = _way_out(network, f"network-private-{zone}")
        assert out.inputs["natGatewayId"] == "network-nat-a-id"


def test_public_subnets_lead_to_the_internet_gateway(network: Program) -> None:
    for zone in "abc":
        out = _way_out(network, f"network-public-{zone}")
        assert out.inputs["gatewayId"] == "network-internet-id"


def test_a_nat_gateway_is_made_after_the_internet_gateway(network: Program) -> None:
    internet = only(network, ":InternetGateway").urn
    for gateway in network.of(":NatGateway"):
        assert internet in gateway.dependencies


def test_aws_is_reached_without_the_nat_gateways(network: Program) -> None:
    endpoints = {
        one.inputs["serviceName"].removeprefix("com.amazonaws.us-east-1."): one.inputs
        for one in network.of(":VpcEndpoint")
    }
    assert set(endpoints) == {"s3", *INTERFACE_ENDPOINTS}
    s3 = endpoints.pop("s3")
    assert s3["vpcEndpointType"] == "Gateway"
    assert s3["routeTableIds"] == [f"network-private-{zone}-id" for zone in "abc"]
    for endpoint in endpoints.values():
        assert endpoint["privateDnsEnabled"] is True
        assert endpoint["subnetIds"] == [f"network-private-{zone}-id" for zone in "abc"]
        assert endpoint["securityGroupIds"] == ["network-endpoints-id"]


def test_endpoints_answer_https_from_inside_the_vpc_alone(network: Program) -> None:
    rule = only(network, ":SecurityGroupIngressRule").inputs
    assert rule["securityGroupId"] == "network-endpoints-id"
    assert (rule["cidrIpv4"], rule["ipProtocol"]) == ("10.64.0.0/16", "tcp")
    assert (rule["fromPort"], rule["toPort"]) == (443, 443)
    group = only(network, ":SecurityGroup").inputs
    assert not group.get("ingress")
    assert not group.get("egress")


def test_the_default_security_group_is_closed(network: Program) -> None:
    group = only(network, ":DefaultSecurityGroup").inputs
    assert group["vpcId"] == "network-vpc-id"
    assert not group.get("ingress")
    assert not group.get("egress")


def test_all_traffic_is_logged_encrypted_and_not_for_ever(network: Program) -> None:
    log, group = only(network, ":FlowLog").inputs, only(network, ":LogGroup")
    assert log["trafficType"] == "ALL"
    assert log["vpcId"] == "network-vpc-id"
    assert log["logDestination"] == group.outputs["arn"]
    assert group.inputs["kmsKeyId"] == ARGS["log_key_arn"]
    assert group.inputs["retentionInDays"] == 90


def test_the_flow_log_waits_for_what_its_role_may_do(network: Program) -> None:
    policy = only(network, ":RolePolicy")
    assert policy.urn in only(network, ":FlowLog").dependencies
