"""The network: a VPC with its subnets, ways out and endpoints."""

from functools import cache
from typing import Any

from botocore.loaders import create_loader

from tests.aws.adapters.registry import Client, makes, paged
from tests.aws.errors import RefusedError
from tests.aws.resource import Made, Resource


def _arn(resource: Resource, kind: str, number: str) -> str:
    return f"arn:aws:ec2:{resource.region}:{resource.account.number}:{kind}/{number}"


def _only(found: list[dict[str, Any]]) -> dict[str, Any]:
    if len(found) != 1:
        raise RefusedError(f"one was looked for, and there are {len(found)}")
    return found[0]


@makes(
    "aws:ec2/vpc:Vpc",
    service="ec2",
    lists=lambda client: [one["VpcId"] for one in paged(client("ec2"), "describe_vpcs", "Vpcs")],
)
def vpc(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    # Defaults of pulumi-aws: https://www.pulumi.com/registry/packages/aws/api-docs/ec2/vpc/
    support = resource.take("enableDnsSupport", True)
    host_names = resource.take("enableDnsHostnames", False)
    tags = resource.ec2_tags("vpc")
    number = ec2.create_vpc(**resource.fill("ec2", "CreateVpc", **tags))["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=number, EnableDnsSupport={"Value": support})
    ec2.modify_vpc_attribute(VpcId=number, EnableDnsHostnames={"Value": host_names})
    # What AWS makes along with it.
    itself = resource.account.itself("ec2", resource.region)
    of_vpc = [{"Name": "vpc-id", "Values": [number]}]
    groups = itself.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
    tables = itself.describe_route_tables(Filters=of_vpc)["RouteTables"]
    lists = itself.describe_network_acls(Filters=of_vpc)["NetworkAcls"]
    main = _only(tables)["RouteTableId"]
    return Made(
        id=number,
        outputs={
            "arn": _arn(resource, "vpc", number),
            "defaultNetworkAclId": _only(lists)["NetworkAclId"],
            "defaultRouteTableId": main,
            "defaultSecurityGroupId": _only(groups)["GroupId"],
            "mainRouteTableId": main,
            "ownerId": resource.account.number,
        },
        delete=lambda: ec2.delete_vpc(VpcId=number),
    )


@makes(
    "aws:ec2/subnet:Subnet",
    service="ec2",
    lists=lambda client: [
        one["SubnetId"] for one in paged(client("ec2"), "describe_subnets", "Subnets")
    ],
)
def subnet(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    public = resource.take("mapPublicIpOnLaunch", False)
    tags = resource.ec2_tags("subnet")
    made = ec2.create_subnet(**resource.fill("ec2", "CreateSubnet", **tags))["Subnet"]
    number = made["SubnetId"]
    if public:
        ec2.modify_subnet_attribute(SubnetId=number, MapPublicIpOnLaunch={"Value": True})
    return Made(
        id=number,
        outputs={
            "arn": _arn(resource, "subnet", number),
            "availabilityZone": made["AvailabilityZone"],
            "availabilityZoneId": made["AvailabilityZoneId"],
            "ownerId": resource.account.number,
        },
        delete=lambda: ec2.delete_subnet(SubnetId=number),
    )


@makes(
    "aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    lists=lambda client: [
        one["InternetGatewayId"]
        for one in paged(client("ec2"), "describe_internet_gateways", "InternetGateways")
    ],
)
def internet_gateway(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    vpc_id = resource.take("vpcId")
    tags = resource.ec2_tags("internet-gateway")
    request = resource.fill("ec2", "CreateInternetGateway", **tags)
    number = ec2.create_internet_gateway(**request)["InternetGateway"]["InternetGatewayId"]
    if vpc_id:
        ec2.attach_internet_gateway(InternetGatewayId=number, VpcId=vpc_id)

    def delete() -> None:
        if vpc_id:
            ec2.detach_internet_gateway(InternetGatewayId=number, VpcId=vpc_id)
        ec2.delete_internet_gateway(InternetGatewayId=number)

    return Made(
        id=number,
        outputs={
            "arn": _arn(resource, "internet-gateway", number),
            "ownerId": resource.account.number,
        },
        delete=delete,
    )


@makes(
    "aws:ec2/eip:Eip",
    service="ec2",
    lists=lambda client: [
        one["AllocationId"] for one in client("ec2").describe_addresses()["Addresses"]
    ],
)
def eip(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    tags = resource.ec2_tags("elastic-ip")
    made = ec2.allocate_address(**resource.fill("ec2", "AllocateAddress", **tags))
    number = made["AllocationId"]
    return Made(
        id=number,
        outputs={
            "allocationId": number,
            "arn": _arn(resource, "elastic-ip", number),
            "publicIp": made["PublicIp"],
        },
        delete=lambda: ec2.release_address(AllocationId=number),
    )


@makes(
    "aws:ec2/natGateway:NatGateway",
    service="ec2",
    lists=lambda client: [
        one["NatGatewayId"]
        for one in paged(client("ec2"), "describe_nat_gateways", "NatGateways")
        if one["State"] != "deleted"
    ],
)
def nat_gateway(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    tags = resource.ec2_tags("natgateway")
    request = resource.fill("ec2", "CreateNatGateway", **tags)
    if request.get("ConnectivityType", "public") == "public":
        _needs_internet_gateway(resource, request["SubnetId"])
    made = ec2.create_nat_gateway(**request)
    number = made["NatGateway"]["NatGatewayId"]
    addresses = made["NatGateway"]["NatGatewayAddresses"]
    return Made(
        id=number,
        outputs={"publicIp": addresses[0].get("PublicIp")} if addresses else {},
        delete=lambda: ec2.delete_nat_gateway(NatGatewayId=number),
    )


def _needs_internet_gateway(resource: Resource, subnet_id: str) -> None:
    """AWS makes no public gateway in a VPC that has no way out:
    https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html"""
    itself = resource.account.itself("ec2", resource.region)
    vpc_id = itself.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["VpcId"]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc_id]}]
    found = itself.describe_internet_gateways(Filters=attached)["InternetGateways"]
    if not found:
        raise RefusedError(f"{resource.name}: {vpc_id} has no internet gateway")
    resource.account.references.use(found[0]["InternetGatewayId"], resource.urn_end)


@makes(
    "aws:ec2/routeTable:RouteTable",
    service="ec2",
    lists=lambda client: [
        one["RouteTableId"] for one in paged(client("ec2"), "describe_route_tables", "RouteTables")
    ],
)
def route_table(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    routes = resource.take("routes", [])
    tags = resource.ec2_tags("route-table")
    made = ec2.create_route_table(**resource.fill("ec2", "CreateRouteTable", **tags))
    number = made["RouteTable"]["RouteTableId"]
    shape = ec2.meta.service_model.operation_model("CreateRoute").input_shape
    names = {"cidrBlock": "DestinationCidrBlock"}
    for one in routes:
        request = resource.converted(shape, one, names)
        ec2.create_route(RouteTableId=number, **request)
        range_ = request["DestinationCidrBlock"]
        resource.account.references.made_by[f"route {number} {range_}"] = resource.urn_end
    return Made(
        id=number,
        outputs={
            "arn": _arn(resource, "route-table", number),
            "ownerId": resource.account.number,
        },
        delete=lambda: ec2.delete_route_table(RouteTableId=number),
    )


def _routes(client: Client) -> list[str]:
    return [
        f"{table['RouteTableId']} {one.get('DestinationCidrBlock')}"
        for table in paged(client("ec2"), "describe_route_tables", "RouteTables")
        for one in table["Routes"]
        if one.get("GatewayId") != "local"
    ]


@makes("aws:ec2/route:Route", service="ec2", lists=_routes)
def route(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    request = resource.fill("ec2", "CreateRoute")
    ec2.create_route(**request)
    table, range_ = request["RouteTableId"], request["DestinationCidrBlock"]
    resource.account.references.made_by[f"route {table} {range_}"] = resource.urn_end
    return Made(
        id=f"r-{table}{range_}",
        outputs={"origin": "CreateRoute", "state": "active"},
        delete=lambda: ec2.delete_route(RouteTableId=table, DestinationCidrBlock=range_),
    )


def _associations(client: Client) -> list[str]:
    return [
        one["RouteTableAssociationId"]
        for table in paged(client("ec2"), "describe_route_tables", "RouteTables")
        for one in table["Associations"]
        if not one["Main"]
    ]


@makes("aws:ec2/routeTableAssociation:RouteTableAssociation", service="ec2", lists=_associations)
def route_table_association(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    number = ec2.associate_route_table(**resource.fill("ec2", "AssociateRouteTable"))[
        "AssociationId"
    ]
    return Made(id=number, delete=lambda: ec2.disassociate_route_table(AssociationId=number))


@makes(
    "aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    lists=lambda client: [
        one["VpcEndpointId"]
        for one in paged(client("ec2"), "describe_vpc_endpoints", "VpcEndpoints")
        if one["State"] != "deleted"  # moto goes on listing them, as EC2 does for a while
    ],
)
def vpc_endpoint(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    tags = resource.ec2_tags("vpc-endpoint")
    request = resource.fill("ec2", "CreateVpcEndpoint", {"policy": "PolicyDocument"}, **tags)
    _needs_service(resource, request["ServiceName"])
    if request.get("PrivateDnsEnabled"):
        _needs_names(resource, request["VpcId"])
    made = ec2.create_vpc_endpoint(**request)["VpcEndpoint"]
    number = made["VpcEndpointId"]
    return Made(
        id=number,
        outputs={
            "arn": _arn(resource, "vpc-endpoint", number),
            "networkInterfaceIds": made.get("NetworkInterfaceIds", []),
            "dnsEntries": [
                {"dnsName": one["DnsName"], "hostedZoneId": one["HostedZoneId"]}
                for one in made.get("DnsEntries", [])
            ],
            "ownerId": resource.account.number,
            "state": "available",
        },
        delete=lambda: ec2.delete_vpc_endpoints(VpcEndpointIds=[number]),
    )


@cache
def _services() -> frozenset[str]:
    partition = create_loader().load_data("endpoints")["partitions"][0]
    # Those of the image registry are not called as its API is:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
    return frozenset((*partition["services"], "ecr.api", "ecr.dkr"))


def _needs_service(resource: Resource, name: str) -> None:
    """One of AWS' own, in the region. Moto takes any name."""
    beginning = f"com.amazonaws.{resource.region}."
    end = name.removeprefix(beginning)
    if not name.startswith(beginning) or end not in _services():
        raise RefusedError(f"{resource.name}: there is no service {name}")


def _needs_names(resource: Resource, vpc_id: str) -> None:
    """https://docs.aws.amazon.com/vpc/latest/privatelink/manage-dns-names.html"""
    itself = resource.account.itself("ec2", resource.region)
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        found = itself.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        if not found[attribute[0].upper() + attribute[1:]]["Value"]:
            raise RefusedError(f"{resource.name}: private names need {attribute} of {vpc_id}")


@makes(
    "aws:ec2/flowLog:FlowLog",
    service="ec2",
    lists=lambda client: [
        one["FlowLogId"] for one in paged(client("ec2"), "describe_flow_logs", "FlowLogs")
    ],
)
def flow_log(resource: Resource) -> Made:
    ec2 = resource.client("ec2")
    resource.left.setdefault("logDestinationType", "cloud-watch-logs")
    vpc_id, subnet_id = resource.take("vpcId"), resource.take("subnetId")
    request = resource.fill(
        "ec2",
        "CreateFlowLogs",
        {"iamRoleArn": "DeliverLogsPermissionArn"},
        ResourceIds=[vpc_id or subnet_id],
        ResourceType="VPC" if vpc_id else "Subnet",
        **resource.ec2_tags("vpc-flow-log"),
    )
    made = ec2.create_flow_logs(**request)
    if made["Unsuccessful"]:
        raise RefusedError(f"{resource.name}: {made['Unsuccessful']}")
    number = made["FlowLogIds"][0]
    return Made(
        id=number,
        outputs={"arn": _arn(resource, "vpc-flow-log", number)},
        delete=lambda: ec2.delete_flow_logs(FlowLogIds=[number]),
    )
