"""What the file of a managed engine describes."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pulumi

from strata.config.aws import AwsSettings
from strata.model import Managed, Problem, Service
from strata.platforms.eks.aws.location import AwsLocation

BACKUP_DAYS_MAXIMUM = 35
"""RDS and ElastiCache keep automatic backups no longer (BackupRetentionPeriod, SnapshotRetentionLimit)."""

# RDS (CreateDBInstance, DBInstanceIdentifier) and ElastiCache (CreateReplicationGroup,
# ReplicationGroupId): no two hyphens in a row, and none at the end. Others accept more.
_IDENTIFIER = re.compile(r"[a-z](-?[a-z0-9])*")


@dataclass(frozen=True, kw_only=True)
class ManagedArgs:
    """`passwords`: of the users of `managed`, by name. `subnet_ids` are in several zones."""

    service: Service
    managed: Managed
    location: AwsLocation
    aws: AwsSettings
    passwords: Mapping[str, str] = field(repr=False)
    subnet_ids: tuple[pulumi.Input[str], ...]
    security_group_id: pulumi.Input[str]
    data_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]

    @property
    def identifier(self) -> str:
        return identifier(self.location, self.service)

    @property
    def port(self) -> int:
        return self.service.ports[0].number

    def password(self, user: str) -> pulumi.Output[str]:
        """The password of a user, which the state encrypts."""
        return pulumi.Output.secret(self.passwords[user])


class MadeDatastore(Protocol):
    """The resource of an engine. Clients wait for `ready`."""

    host: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]


@dataclass(frozen=True, kw_only=True)
class ManagedEngine:
    """A managed service of AWS, for one engine.

    `authority`: the certificates (PEM) of the authorities that issue its own, by region; None if they
    aren't known. `check`: what is wrong with a datastore's size or name. `keeps_backups`: whether it keeps
    them as long as the settings say.
    """

    authority: Callable[[str], str | None]
    check: Callable[[Service, Managed, AwsLocation], Iterator[Problem]]
    make: Callable[[str, ManagedArgs, pulumi.ResourceOptions], MadeDatastore]
    keeps_backups: bool = True


def identifier(location: AwsLocation, service: Service) -> str:
    """The name of a managed datastore, which is known before it exists: logs and snapshots have it."""
    return f"{location.cluster}-{service.name}"


def check_identifier(
    service: Service, location: AwsLocation, length_maximum: int
) -> Iterator[Problem]:
    name = identifier(location, service)
    if _IDENTIFIER.fullmatch(name) is None:
        message = f"AWS rejects its identifier, {name}, which has two hyphens in a row"
        yield Problem(f"{service.path}: name", message, "rename the service or the stack")
    elif len(name) > length_maximum:
        yield Problem(
            f"{service.path}: name",
            f"its identifier, {name}, is too long for AWS",
            "shorten the name of the service or the stack by"
            f" {len(name) - length_maximum} characters",
        )


def check_class(service: Service, managed: Managed, prefix: str, example: str) -> Iterator[Problem]:
    chosen = managed.instance_class
    if chosen is not None and not chosen.startswith(f"{prefix}."):
        yield Problem(
            f"strata:services.{service.name}.managed.instanceClass",
            f"{chosen} is not a class of {prefix}",
            f"use one such as {example}",
        )
