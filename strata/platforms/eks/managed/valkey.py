"""Redis: a replication group of ElastiCache with Valkey."""

from collections.abc import Iterator

import pulumi
from pulumi_aws import elasticache

from strata.model import Managed, Problem, Service
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts.authorities import amazon_roots
from strata.platforms.eks.managed.engine import (
    ManagedArgs,
    ManagedEngine,
    check_class,
    check_identifier,
)

NODE_TYPE = "cache.t4g.small"
REPLICAS = 1

# UTC, after the daily backup of volumes.
SNAPSHOT_WINDOW = "03:30-04:30"
MAINTENANCE_WINDOW = "sun:05:00-sun:06:00"

# ElastiCache API reference, CreateReplicationGroup (ReplicationGroupId).
IDENTIFIER_LENGTH = 40


class ElastiCacheValkey(pulumi.ComponentResource):
    """A primary with replicas in other zones, encrypted at rest and in transit, with a user for each
    kind of client.

    It is protected in the state, and deleting it takes a last snapshot. Changes that restart it wait for
    the maintenance window.
    """

    def __init__(self, name: str, args: ManagedArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:ElastiCacheValkey", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        managed, identifier = args.managed, args.identifier
        description = f"{args.location.cluster}: {args.service.name}"
        final_snapshot = f"{identifier}-final"
        users = [
            elasticache.User(
                f"{name}-{user.name}",
                user_id=f"{identifier}-{user.name}",
                user_name=user.name,
                engine=managed.engine,
                access_string=f"on {user.rights}",
                authentication_mode=elasticache.UserAuthenticationModeArgs(
                    type="password", passwords=[args.password(user.name)]
                ),
                opts=child,
            )
            for user in managed.users
        ]
        group = elasticache.UserGroup(
            name,
            # Of Valkey: it has no default user, which would need no password.
            engine=managed.engine,
            user_group_id=identifier,
            user_ids=[user.user_id for user in users],
            opts=child,
        )
        parameters = elasticache.ParameterGroup(
            name,
            family=f"{managed.engine}{managed.version.partition('.')[0]}",
            description=description,
            parameters=[
                elasticache.ParameterGroupParameterArgs(name=key, value=value)
                for key, value in managed.parameters.items()
            ],
            opts=child,
        )
        subnets = elasticache.SubnetGroup(
            name, description=description, subnet_ids=list(args.subnet_ids), opts=child
        )
        datastore = elasticache.ReplicationGroup(
            name,
            replication_group_id=identifier,
            description=description,
            engine=managed.engine,
            engine_version=managed.version,
            node_type=managed.instance_class or NODE_TYPE,
            num_cache_clusters=1 + (managed.replicas or REPLICAS),
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            at_rest_encryption_enabled=True,
            kms_key_id=args.data_key_arn,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            user_group_ids=[group.id],
            port=args.port,
            subnet_group_name=subnets.name,
            security_group_ids=[args.security_group_id],
            parameter_group_name=parameters.name,
            snapshot_retention_limit=args.aws.backup_retention_days,
            snapshot_window=SNAPSHOT_WINDOW,
            maintenance_window=MAINTENANCE_WINDOW,
            final_snapshot_identifier=final_snapshot,
            auto_minor_version_upgrade=True,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.host = datastore.primary_endpoint_address
        self.ready: tuple[pulumi.Resource, ...] = (datastore,)
        self.register_outputs({"host": self.host})


def _check(service: Service, managed: Managed, location: AwsLocation) -> Iterator[Problem]:
    yield from check_identifier(service, location, IDENTIFIER_LENGTH)
    yield from check_class(service, managed, "cache", NODE_TYPE)
    if managed.storage_gib is not None:
        yield Problem(
            f"strata:services.{service.name}.managed.storageGib",
            "ElastiCache has no disk: the memory of its class is all that it stores",
            "remove the key, and choose instanceClass",
        )


ELASTICACHE = ManagedEngine(
    authority=lambda _: amazon_roots(), check=_check, make=ElastiCacheValkey
)
