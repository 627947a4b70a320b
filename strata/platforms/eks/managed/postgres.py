"""PostgreSQL: a Multi-AZ instance of RDS."""

from collections.abc import Iterator

import pulumi
from pulumi_aws import cloudwatch, rds

from strata.model import Managed, Problem, Service
from strata.platforms.eks.aws.identity import Role, RoleArgs, for_account, trust
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts.authorities import RDS_AUTHORITY, rds_authority
from strata.platforms.eks.managed.engine import (
    ManagedArgs,
    ManagedEngine,
    check_class,
    check_identifier,
)

INSTANCE_CLASS = "db.t4g.medium"
STORAGE_GIB = 20
"""The minimum of gp3."""

# UTC, after the daily backup of volumes.
BACKUP_WINDOW = "03:30-04:30"
MAINTENANCE_WINDOW = "sun:05:00-sun:06:00"

LOGS = ("postgresql", "upgrade")
MONITORING_SECONDS = 60
INSIGHTS_DAYS = 7
"""The retention that costs nothing."""

# RDS user guide, "Quotas and constraints": 63 characters. That of the final snapshot is longer.
IDENTIFIER_LENGTH = 63


class RdsPostgres(pulumi.ComponentResource):
    """An instance with a standby in another zone, encrypted, with backups to any minute.

    It is protected in the state and at AWS, and deleting it takes a last snapshot. Changes that restart
    it wait for the maintenance window.
    """

    def __init__(self, name: str, args: ManagedArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:RdsPostgres", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        managed, identifier = args.managed, args.identifier
        storage_gib = managed.storage_gib or STORAGE_GIB
        (administrator,) = managed.users
        parameters = rds.ParameterGroup(
            name,
            family=f"postgres{managed.version}",
            description=f"{args.location.cluster}: {args.service.name}",
            parameters=[
                rds.ParameterGroupParameterArgs(name=key, value=value)
                for key, value in managed.parameters.items()
            ],
            opts=child,
        )
        subnets = rds.SubnetGroup(
            name,
            description=f"{args.location.cluster}: {args.service.name}",
            subnet_ids=list(args.subnet_ids),
            opts=child,
        )
        logs = [
            cloudwatch.LogGroup(
                f"{name}-{kind}",
                # RDS writes to this name. If it doesn't exist, RDS creates it, with no key and no
                # retention.
                name=f"/aws/rds/instance/{identifier}/{kind}",
                kms_key_id=args.log_key_arn,
                retention_in_days=args.aws.log_retention_days,
                opts=child,
            )
            for kind in LOGS
        ]
        role = Role(
            f"{name}-monitoring",
            RoleArgs(
                trust=trust("monitoring.rds.amazonaws.com", conditions=for_account(args.location)),
                description=f"{args.location.cluster}: metrics of {args.service.name}",
                managed=("service-role/AmazonRDSEnhancedMonitoringRole",),
            ),
            child,
        )
        instance = rds.Instance(
            name,
            identifier=identifier,
            engine="postgres",
            engine_version=managed.version,
            instance_class=managed.instance_class or INSTANCE_CLASS,
            allocated_storage=storage_gib,
            # RDS enlarges it before it is full.
            max_allocated_storage=2 * storage_gib,
            storage_type="gp3",
            storage_encrypted=True,
            kms_key_id=args.data_key_arn,
            db_name=managed.database,
            username=administrator.name,
            password=args.password(administrator.name),
            port=args.port,
            multi_az=True,
            publicly_accessible=False,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[args.security_group_id],
            parameter_group_name=parameters.name,
            ca_cert_identifier=RDS_AUTHORITY,
            backup_retention_period=args.aws.backup_retention_days,
            backup_window=BACKUP_WINDOW,
            maintenance_window=MAINTENANCE_WINDOW,
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            # With the instance, all points in time would be lost.
            delete_automated_backups=False,
            deletion_protection=True,
            skip_final_snapshot=False,
            final_snapshot_identifier=f"{identifier}-final",
            performance_insights_enabled=True,
            performance_insights_kms_key_id=args.data_key_arn,
            performance_insights_retention_period=INSIGHTS_DAYS,
            monitoring_interval=MONITORING_SECONDS,
            monitoring_role_arn=role.arn,
            enabled_cloudwatch_logs_exports=list(LOGS),
            opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=[*logs, *role.ready]),
        )
        self.host = instance.address
        self.ready: tuple[pulumi.Resource, ...] = (instance,)
        self.register_outputs({"host": self.host})


def _check(service: Service, managed: Managed, location: AwsLocation) -> Iterator[Problem]:
    yield from check_identifier(service, location, IDENTIFIER_LENGTH)
    yield from check_class(service, managed, "db", INSTANCE_CLASS)
    if managed.replicas is not None and managed.replicas != 1:
        yield Problem(
            f"strata:services.{service.name}.managed.replicas",
            "an instance of RDS has one standby",
            "remove the key",
        )


RDS = ManagedEngine(authority=rds_authority, check=_check, make=RdsPostgres)
