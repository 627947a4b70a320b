"""RabbitMQ: a cluster of Amazon MQ."""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pulumi
from pulumi_aws import mq

from strata.model import Managed, Problem, Service
from strata.platforms.eks.aws.location import AwsLocation
from strata.platforms.eks.facts.authorities import amazon_roots
from strata.platforms.eks.managed.engine import (
    ManagedArgs,
    ManagedEngine,
    check_class,
    check_identifier,
)

INSTANCE_TYPE = "mq.m7g.large"
"""The smallest that AWS recommends for production. RabbitMQ 4 runs on mq.m7g only."""

COPIES = 2
"""A cluster has three nodes."""

# UTC, after the daily backup of volumes.
MAINTENANCE_DAY = "SUNDAY"
MAINTENANCE_TIME = "05:00"

# Amazon MQ API reference, CreateBrokerRequest (brokerName).
IDENTIFIER_LENGTH = 50


class AmazonMqRabbitMq(pulumi.ComponentResource):
    """Three nodes in several zones behind one host name, encrypted at rest, that accept only TLS.

    It is protected in the state: Amazon MQ has neither a protection from deletion nor backups. Changes
    that restart it wait for the maintenance window.
    """

    def __init__(self, name: str, args: ManagedArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:AmazonMqRabbitMq", name, {}, opts)
        managed = args.managed
        (administrator,) = managed.users
        broker = mq.Broker(
            name,
            broker_name=args.identifier,
            # As AWS answers. With another case, the provider would replace the broker at each update.
            engine_type="RabbitMQ",
            engine_version=managed.version,
            host_instance_type=managed.instance_class or INSTANCE_TYPE,
            deployment_mode="CLUSTER_MULTI_AZ",
            publicly_accessible=False,
            subnet_ids=list(args.subnet_ids),
            security_groups=[args.security_group_id],
            encryption_options=mq.BrokerEncryptionOptionsArgs(
                kms_key_id=args.data_key_arn, use_aws_owned_key=False
            ),
            # AWS names the log groups after the id of the broker, and creates them.
            logs=mq.BrokerLogsArgs(general=True),
            auto_minor_version_upgrade=True,
            maintenance_window_start_time=mq.BrokerMaintenanceWindowStartTimeArgs(
                day_of_week=MAINTENANCE_DAY, time_of_day=MAINTENANCE_TIME, time_zone="UTC"
            ),
            users=[
                mq.BrokerUserArgs(
                    username=administrator.name, password=args.password(administrator.name)
                )
            ],
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=True,
                # AWS changes no user of a broker that exists. The set-up does.
                ignore_changes=["users"],
            ),
        )
        self.host: pulumi.Output[str] = broker.instances.apply(_host)
        self.ready: tuple[pulumi.Resource, ...] = (broker,)
        self.register_outputs({"host": self.host})


def _host(instances: Sequence[mq.outputs.BrokerInstance]) -> str:
    """The host of the first endpoint. All nodes have the same, `amqps://HOST:5671`."""
    (endpoint, *_) = instances[0].endpoints or ()
    return urlsplit(endpoint).hostname or ""


def _check(service: Service, managed: Managed, location: AwsLocation) -> Iterator[Problem]:
    path = f"strata:services.{service.name}.managed"
    yield from check_identifier(service, location, IDENTIFIER_LENGTH)
    yield from check_class(service, managed, "mq", INSTANCE_TYPE)
    if managed.replicas is not None and managed.replicas != COPIES:
        message = "a cluster of Amazon MQ has three nodes"
        yield Problem(f"{path}.replicas", message, "remove the key")
    if managed.storage_gib is not None:
        message = "Amazon MQ chooses the size of the disks"
        yield Problem(f"{path}.storageGib", message, "remove the key, and choose instanceClass")


AMAZON_MQ = ManagedEngine(
    authority=lambda _: amazon_roots(),
    check=_check,
    make=AmazonMqRabbitMq,
    keeps_backups=False,
)
