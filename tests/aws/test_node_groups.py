"""What EKS refuses of node groups and their launch templates."""

import base64
from typing import Any

import pytest

from tests.aws.account import Account
from tests.aws.errors import RefusedError
from tests.aws.node_groups import check

REGION = "us-east-1"
GROUP: dict[str, Any] = {
    "instanceTypes": ["g6.xlarge"],
    "amiType": "AL2023_x86_64_NVIDIA",
    "scalingConfig": {"minSize": 0, "desiredSize": 0, "maxSize": 2},
}
BLOCK = {"CapacityReservationTarget": {"CapacityReservationId": "cr-0123456789abcdef0"}}
EFA = {"DeviceIndex": 0, "NetworkCardIndex": 0, "InterfaceType": "efa"}


def checked(
    aws: Account, group: dict[str, Any], template: dict[str, Any], *, way_out: bool = True
) -> None:
    """Checks a group in a subnet of its own."""
    ec2 = aws.itself("ec2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.64.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.64.0.0/24")["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    if way_out:
        out = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=out)
    made = ec2.create_launch_template(LaunchTemplateName="nodes", LaunchTemplateData=template)
    which = {"id": made["LaunchTemplate"]["LaunchTemplateId"], "version": "1"}
    check(aws, {**GROUP, **group, "subnets": [subnet], "launchTemplate": which}, REGION)


def test_good_ones(aws: Account) -> None:
    checked(aws, {}, {"EbsOptimized": True})


def test_a_good_capacity_block(aws: Account) -> None:
    template = {
        "InstanceMarketOptions": {"MarketType": "capacity-block"},
        "CapacityReservationSpecification": BLOCK,
        "NetworkInterfaces": [EFA, {**EFA, "DeviceIndex": 1, "NetworkCardIndex": 1}],
    }
    checked(aws, {"capacityType": "CAPACITY_BLOCK"}, template)


def test_a_subnet_without_a_way_out(aws: Account) -> None:
    with pytest.raises(RefusedError, match="has no way out"):
        checked(aws, {}, {"EbsOptimized": True}, way_out=False)


@pytest.mark.parametrize(
    ("group", "template", "said"),
    [
        ({"instanceTypes": ["g99.xlarge"]}, {}, "EC2 has no g99.xlarge"),
        (
            {"scalingConfig": {"minSize": 3, "desiredSize": 1, "maxSize": 2}},
            {},
            "scalingConfig: .* is not in order",
        ),
        ({"labels": {"kubernetes.io/role": "x"}}, {}, "labels: kubernetes.io/role is reserved"),
        ({}, {"IamInstanceProfile": {"Name": "p"}}, "the node role stands in the node group"),
        ({}, {"InstanceType": "g6.xlarge"}, "the node group has instanceTypes, too"),
        ({}, {"ImageId": "ami-12345678"}, "the node group says which image, too"),
        ({}, {"InstanceMarketOptions": {"MarketType": "spot"}}, "spot is said by capacityType"),
        ({"capacityType": "CAPACITY_BLOCK"}, {}, "None, and the node group's capacity is CAPACITY"),
        (
            {"capacityType": "CAPACITY_BLOCK"},
            {"InstanceMarketOptions": {"MarketType": "capacity-block"}},
            "a capacity block needs its id",
        ),
        ({}, {"NetworkInterfaces": [EFA, EFA]}, "two have one device of one card"),
        ({}, {"NetworkInterfaces": [{**EFA, "DeviceIndex": 1}]}, "none is the first one"),
        (
            {},
            {"NetworkInterfaces": [EFA], "SecurityGroupIds": ["sg-12345678"]},
            "an interface of its own has them",
        ),
        (
            {},
            {"UserData": base64.b64encode(b"#!/bin/sh").decode()},
            "UserData: not a MIME document of several parts",
        ),
        (
            {"amiType": "BOTTLEROCKET_x86_64_NVIDIA"},
            {"UserData": base64.b64encode(b"[settings").decode()},
            "UserData: no TOML",
        ),
    ],
)
def test_bad_ones(aws: Account, group: dict[str, Any], template: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        checked(aws, group, {"EbsOptimized": True, **template})
