"""Address ranges that would be in each other's way."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.aws.account import Account

# What a cluster's services may have: https://docs.aws.amazon.com/eks/latest/APIReference/
# API_KubernetesNetworkConfigRequest.html (serviceIpv4Cidr).
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_SERVICES_LEAST, _SERVICES_MOST = 24, 12


def collisions(
    account: "Account", service: str, operation: str, parameters: Mapping[str, Any], region: str
) -> list[str]:
    """The ranges of a request that overlap others, or lie where they may not."""
    ec2 = account.itself("ec2", region)
    if (service, operation) == ("ec2", "CreateVpc"):
        return list(_vpc(ec2, parameters))
    if (service, operation) == ("ec2", "CreateSubnet"):
        return list(_subnet(ec2, parameters))
    if (service, operation) == ("eks", "CreateCluster"):
        return list(_services(ec2, parameters))
    return []


def _vpc(ec2: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    wanted = IPv4Network(parameters["CidrBlock"])
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        # The account's default VPC is nobody's neighbour.
        if not vpc["IsDefault"] and wanted.overlaps(IPv4Network(vpc["CidrBlock"])):
            yield f"CidrBlock: {wanted} overlaps {vpc['CidrBlock']} of {vpc['VpcId']}"


def _subnet(ec2: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    wanted, vpc_id = IPv4Network(parameters["CidrBlock"]), parameters["VpcId"]
    vpc = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
    if not wanted.subnet_of(IPv4Network(vpc["CidrBlock"])):
        yield f"CidrBlock: {wanted} is not in {vpc['CidrBlock']} of {vpc_id}"
    of_vpc = [{"Name": "vpc-id", "Values": [vpc_id]}]
    for subnet in ec2.describe_subnets(Filters=of_vpc)["Subnets"]:
        if wanted.overlaps(IPv4Network(subnet["CidrBlock"])):
            yield f"CidrBlock: {wanted} overlaps {subnet['CidrBlock']} of {subnet['SubnetId']}"


def _services(ec2: Any, parameters: Mapping[str, Any]) -> Iterator[str]:
    text = parameters.get("kubernetesNetworkConfig", {}).get("serviceIpv4Cidr")
    if text is None:
        return
    place, wanted = "kubernetesNetworkConfig.serviceIpv4Cidr", IPv4Network(text)
    if not any(wanted.subnet_of(private) for private in _PRIVATE):
        yield f"{place}: {wanted} is no private range"
    if not _SERVICES_MOST <= wanted.prefixlen <= _SERVICES_LEAST:
        yield f"{place}: {wanted} is none of /{_SERVICES_MOST} to /{_SERVICES_LEAST}"
    subnets = ec2.describe_subnets(SubnetIds=parameters["resourcesVpcConfig"]["subnetIds"])
    for vpc_id in {one["VpcId"] for one in subnets["Subnets"]}:
        vpc = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]
        if wanted.overlaps(IPv4Network(vpc["CidrBlock"])):
            yield f"{place}: {wanted} overlaps {vpc['CidrBlock']} of {vpc_id}"
