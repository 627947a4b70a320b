"""The network of a stack: private subnets for nodes, public ones for load balancers and NAT."""

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_aws import cloudwatch, ec2, vpc

from strata.config.aws import AwsSettings, Nat
from strata.platforms.eks.aws.addresses import ZoneRanges, cut
from strata.platforms.eks.aws.documents import Statement
from strata.platforms.eks.aws.identity import Role, RoleArgs, for_account, trust
from strata.platforms.eks.aws.location import AwsLocation

WORLD = "0.0.0.0/0"

# The AWS services that a private node uses all the time: images (their layers come from S3, by its
# gateway endpoint), the cluster's API and Pod Identity, credentials, EC2 (network plug-in, volumes),
# logs, and what the autoscaler and load balancers need. Endpoints bypass the NAT gateways, which
# charge by the gigabyte; with one NAT gateway, a node still starts when that zone fails. From "Deploy
# private clusters with limited internet access",
# docs.aws.amazon.com/eks/latest/userguide/private-clusters.html.
INTERFACE_ENDPOINTS = (
    *("autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing"),
    *("logs", "sts"),
)


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """`aws`: the settings, with the letters of the zones. `log_key_arn`: the key of the flow logs."""

    location: AwsLocation
    aws: AwsSettings
    log_key_arn: pulumi.Input[str]


class Network(pulumi.ComponentResource):
    """A VPC with a private and a public subnet in each zone, NAT, endpoints and flow logs.

    IPv4 only. Nothing in a private subnet has a public address. Public subnets contain NAT gateways
    and, if the stack has a public one, the load balancer. `private_subnets` and `public_subnets` are
    by the letter of their zone.
    """

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Network", name, {}, opts)
        self._prefix, self._location = name, args.location
        self._child = pulumi.ResourceOptions(parent=self)
        aws = args.aws
        ranges = cut(aws.range, aws.zone_letters)
        self.vpc = ec2.Vpc(
            f"{name}-vpc",
            cidr_block=str(aws.range),
            # Private names of the cluster's API and of the endpoints need both.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        self.vpc_id = self.vpc.id
        # The group of what names no group: it allows nothing in or out.
        ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=self.vpc_id, tags=self._tags("default"), opts=self._child
        )
        self.public_subnets = self._public_subnets(ranges)
        self.private_subnets = self._private_subnets(ranges, aws.nat)
        self._endpoints(str(aws.range))
        self._flow_logs(args)
        self.register_outputs({"vpcId": self.vpc_id})

    @property
    def private_subnet_ids(self) -> tuple[pulumi.Output[str], ...]:
        """In the order of the zones."""
        return tuple(subnet.id for subnet in self.private_subnets.values())

    def _public_subnets(self, ranges: dict[str, ZoneRanges]) -> dict[str, ec2.Subnet]:
        tags = self._tags("internet")
        self._gateway = ec2.InternetGateway(
            f"{self._prefix}-internet", vpc_id=self.vpc_id, tags=tags, opts=self._child
        )
        table = self._route_table("public")
        ec2.Route(
            f"{self._prefix}-public-out",
            route_table_id=table.id,
            destination_cidr_block=WORLD,
            gateway_id=self._gateway.id,
            opts=self._child,
        )
        return {
            zone: self._subnet(f"public-{zone}", zone, one.public, "elb", table)
            for zone, one in ranges.items()
        }

    def _private_subnets(self, ranges: dict[str, ZoneRanges], nat: Nat) -> dict[str, ec2.Subnet]:
        tables = {zone: self._route_table(f"private-{zone}") for zone in ranges}
        first = next(iter(ranges))
        with_gateway = list(ranges) if nat is Nat.PER_ZONE else [first]
        gateways = {zone: self._nat_gateway(zone) for zone in with_gateway}
        for zone, table in tables.items():
            ec2.Route(
                f"{self._prefix}-private-{zone}-out",
                route_table_id=table.id,
                destination_cidr_block=WORLD,
                nat_gateway_id=gateways.get(zone, gateways[first]).id,
                opts=self._child,
            )
        self._private_tables = tuple(tables.values())
        return {
            zone: self._subnet(f"private-{zone}", zone, one.private, "internal-elb", tables[zone])
            for zone, one in ranges.items()
        }

    def _subnet(
        self, part: str, zone: str, addresses: IPv4Network, role: str, table: ec2.RouteTable
    ) -> ec2.Subnet:
        name = f"{self._prefix}-{part}"
        subnet = ec2.Subnet(
            name,
            vpc_id=self.vpc_id,
            availability_zone=f"{self._location.region}{zone}",
            cidr_block=str(addresses),
            map_public_ip_on_launch=False,
            tags={
                **self._tags(part),
                # By these tags the cluster's cloud controller finds subnets for load balancers
                # (findSubnets and findELBSubnets of kubernetes/cloud-provider-aws).
                f"kubernetes.io/role/{role}": "1",
                f"kubernetes.io/cluster/{self._location.cluster}": "shared",
            },
            opts=self._child,
        )
        ec2.RouteTableAssociation(
            name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        return subnet

    def _route_table(self, part: str) -> ec2.RouteTable:
        return ec2.RouteTable(
            f"{self._prefix}-{part}", vpc_id=self.vpc_id, tags=self._tags(part), opts=self._child
        )

    def _nat_gateway(self, zone: str) -> ec2.NatGateway:
        name, tags = f"{self._prefix}-nat-{zone}", self._tags(f"nat-{zone}")
        address = ec2.Eip(name, domain="vpc", tags=tags, opts=self._child)
        return ec2.NatGateway(
            name,
            subnet_id=self.public_subnets[zone].id,
            allocation_id=address.allocation_id,
            tags=tags,
            # EC2 rejects one in a VPC without an internet gateway, and keeps the internet gateway
            # while it has an address.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._gateway]),
        )

    def _endpoints(self, addresses: str) -> None:
        region = f"com.amazonaws.{self._location.region}"
        ec2.VpcEndpoint(
            f"{self._prefix}-s3",
            vpc_id=self.vpc_id,
            service_name=f"{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self._private_tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        group = https_from(
            f"{self._prefix}-endpoints",
            f"{self._location.cluster}: endpoints of AWS services",
            self.vpc_id,
            addresses,
            self._tags("endpoints"),
            self._child,
        )
        for service in INTERFACE_ENDPOINTS:
            ec2.VpcEndpoint(
                f"{self._prefix}-{service.replace('.', '-')}",
                vpc_id=self.vpc_id,
                service_name=f"{region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(self.private_subnet_ids),
                security_group_ids=[group.id],
                tags=self._tags(service),
                opts=self._child,
            )

    def _flow_logs(self, args: NetworkArgs) -> None:
        location, name = args.location, f"{self._prefix}-flow-logs"
        # Fixed: the key's policy and the role's name it.
        group_name = f"/aws/eks/{location.cluster}/flow-logs"
        group = cloudwatch.LogGroup(
            name,
            name=group_name,
            kms_key_id=args.log_key_arn,
            retention_in_days=args.aws.log_retention_days,
            opts=self._child,
        )
        write: Statement = {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            "Resource": f"{location.log_group_arn(group_name)}:*",
        }
        describe: Statement = {
            "Effect": "Allow",
            "Action": "logs:DescribeLogGroups",
            "Resource": location.log_group_arn("*"),
        }
        role = Role(
            name,
            RoleArgs(
                trust=trust("vpc-flow-logs.amazonaws.com", conditions=for_account(location)),
                description=f"{location.cluster}: writes flow logs",
                statements={"write": (write, describe)},
            ),
            self._child,
        )
        ec2.FlowLog(
            name,
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            tags=self._tags("flow-logs"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=role.ready),
        )

    def _tags(self, part: str) -> dict[str, str]:
        return {"Name": f"{self._location.cluster}-{part}"}


def https_from(
    name: str,
    description: str,
    vpc_id: pulumi.Input[str],
    addresses: str,
    tags: dict[str, str],
    opts: pulumi.ResourceOptions,
) -> ec2.SecurityGroup:
    """A group that allows port 443 in from a range, and nothing out."""
    group = ec2.SecurityGroup(name, description=description, vpc_id=vpc_id, tags=tags, opts=opts)
    vpc.SecurityGroupIngressRule(
        name,
        security_group_id=group.id,
        description="HTTPS from inside the VPC",
        cidr_ipv4=addresses,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        opts=opts,
    )
    return group
