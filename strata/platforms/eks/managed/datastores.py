"""The managed datastores of a stack, in subnets of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from strata.config.aws import AwsSettings
from strata.model import Managed, Problem, Service
from strata.model.secrets import DerivedSecrets
from strata.platforms.eks.aws.addresses import cut
from strata.platforms.eks.aws.keys import Keys
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.managed import ENGINES
from strata.platforms.eks.managed.engine import BACKUP_DAYS_MAXIMUM, ManagedArgs, ManagedEngine
from strata.platforms.kubernetes.cluster import Destination, ManagedPlan, ManagedServer


def plan(
    service: Service, managed: Managed, aws: AwsSettings, location: AwsLocation
) -> ManagedPlan:
    """How clients will verify a managed datastore, and why it can't be created."""
    engine = ENGINES[managed.engine]
    problems = (
        *engine.check(service, managed, location),
        *_check(service, engine, aws, location),
    )
    return ManagedPlan(authority=engine.authority(location.region) or "", problems=problems)


def _check(
    service: Service, engine: ManagedEngine, aws: AwsSettings, location: AwsLocation
) -> Iterator[Problem]:
    path = f"strata:services.{service.name}.managed"
    if engine.authority(location.region) is None:
        yield Problem(
            path,
            f"the authority of RDS's certificates in {location.region} isn't known here",
            "remove the key, or use another region",
        )
    if engine.keeps_backups and aws.backup_retention_days > BACKUP_DAYS_MAXIMUM:
        yield Problem(
            "strata:aws.backupRetentionDays",
            f"{service.name} is managed, and AWS keeps its backups for at most"
            f" {BACKUP_DAYS_MAXIMUM} days",
            f"set it to {BACKUP_DAYS_MAXIMUM} or less, or remove {path}",
        )


@dataclass(frozen=True, kw_only=True)
class ManagedDatastoresArgs:
    """`services`: those with `managed`. `client_group_id`: the security group of the nodes."""

    services: tuple[tuple[Service, Managed], ...]
    secrets: DerivedSecrets
    location: AwsLocation
    aws: AwsSettings
    vpc_id: pulumi.Input[str]
    client_group_id: pulumi.Input[str]
    keys: Keys


class ManagedDatastores(pulumi.ComponentResource):
    """Datastores that AWS runs. `servers`: by the name of their service.

    Their subnets have no route out of the VPC. A security group lets in the nodes, on the ports of the
    datastore. Which pods of a node get that far is decided by their NetworkPolicies.
    """

    def __init__(
        self, name: str, args: ManagedDatastoresArgs, opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("strata:eks:ManagedDatastores", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        ranges = {
            zone: one.data for zone, one in cut(args.aws.range, args.aws.zone_letters).items()
        }
        table = ec2.RouteTable(name, vpc_id=args.vpc_id, tags=self._tags("data"), opts=self._child)
        self._subnet_ids = tuple(
            self._subnet(zone, str(addresses), table) for zone, addresses in ranges.items()
        )
        self._ranges = tuple(map(str, ranges.values()))
        self.servers: Mapping[str, ManagedServer] = {
            service.name: self._make(service, managed) for service, managed in args.services
        }
        self.register_outputs({})

    def _subnet(self, zone: str, addresses: str, table: ec2.RouteTable) -> pulumi.Output[str]:
        name = f"{self._name}-{zone}"
        subnet = ec2.Subnet(
            name,
            vpc_id=self._args.vpc_id,
            availability_zone=f"{self._args.location.region}{zone}",
            cidr_block=addresses,
            map_public_ip_on_launch=False,
            tags=self._tags(f"data-{zone}"),
            opts=self._child,
        )
        ec2.RouteTableAssociation(
            name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        return subnet.id

    def _make(self, service: Service, managed: Managed) -> ManagedServer:
        args, name = self._args, f"{self._name}-{service.name}"
        port = service.ports[0].number
        set_up_port = managed.set_up_port or port
        group = ec2.SecurityGroup(
            name,
            description=f"{args.location.cluster}: {service.name}",
            vpc_id=args.vpc_id,
            tags=self._tags(service.name),
            opts=self._child,
        )
        for number, rule in {set_up_port: f"{name}-set-up", port: name}.items():
            vpc.SecurityGroupIngressRule(
                rule,
                security_group_id=group.id,
                description="From the nodes",
                referenced_security_group_id=args.client_group_id,
                ip_protocol="tcp",
                from_port=number,
                to_port=number,
                opts=self._child,
            )
        made = ENGINES[managed.engine].make(
            name,
            ManagedArgs(
                service=service,
                managed=managed,
                location=args.location,
                aws=args.aws,
                passwords={user.name: args.secrets.encode(user.password) for user in managed.users},
                subnet_ids=self._subnet_ids,
                security_group_id=group.id,
                data_key_arn=args.keys.data.arn,
                log_key_arn=args.keys.logs.arn,
            ),
            self._child,
        )
        return ManagedServer(
            host=made.host,
            destination=Destination(ranges=self._ranges, port=port),
            set_up=Destination(ranges=self._ranges, port=set_up_port),
            ready=made.ready,
        )

    def _tags(self, part: str) -> dict[str, str]:
        return {"Name": f"{self._args.location.cluster}-{part}"}
