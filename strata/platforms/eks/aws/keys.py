"""The encryption keys of a stack."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import kms

from strata.platforms.eks.aws.documents import Statement, policy_document
from strata.platforms.eks.aws.location import AwsLocation

# The longest of 7 to 30 days: what a key encrypted is lost with it (KMS, ScheduleKeyDeletion).
DELETION_WINDOW_DAYS = 30

# The purpose, and so the alias, of the key of volumes.
DATA = "data"


class Keys(pulumi.ComponentResource):
    """Three keys, each rotated every year.

    `secrets`: Kubernetes Secrets in etcd. `logs`: log groups, which CloudWatch encrypts and so needs
    permission for. `data`: volumes, backups and archives. There are three because their users differ:
    a person who reads logs needs no access to volumes. Each costs a dollar a month (docs/costs.md). The
    registry has a key of its own.
    """

    def __init__(self, name: str, location: AwsLocation, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Keys", name, {}, opts)
        self.secrets = make_key(self, name, "secrets", "Kubernetes Secrets", location)
        self.logs = make_key(self, name, "logs", "log groups", location, [_cloudwatch(location)])
        # Snapshots and archives can't be read without it.
        self.data = make_key(self, name, DATA, "volumes and backups", location, protect=True)
        self.register_outputs({})


def alias(location: AwsLocation, purpose: str) -> str:
    """The name of a key, which is known before the key exists."""
    return f"alias/{location.cluster}/{purpose}"


def make_key(
    parent: pulumi.Resource,
    name: str,
    purpose: str,
    description: str,
    location: AwsLocation,
    statements: Sequence[Statement] = (),
    protect: bool = False,
) -> kms.Key:
    """A key that is rotated every year, with an alias. `statements` allow its use beyond the
    account's own policies."""
    key = kms.Key(
        f"{name}-{purpose}",
        description=f"{location.cluster}: {description}",
        enable_key_rotation=True,
        deletion_window_in_days=DELETION_WINDOW_DAYS,
        policy=policy_document(_by_iam(location), *statements),
        opts=pulumi.ResourceOptions(parent=parent, protect=protect),
    )
    kms.Alias(
        f"{name}-{purpose}",
        name=alias(location, purpose),
        target_key_id=key.key_id,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return key


def _by_iam(location: AwsLocation) -> Statement:
    """Whoever the account's own policies allow, and nobody else. Without this statement a key could
    end up with nobody who may change it."""
    return {
        "Sid": "ByPoliciesOfTheAccount",
        "Effect": "Allow",
        "Principal": {"AWS": location.root_arn},
        "Action": "kms:*",
        "Resource": "*",
    }


def _cloudwatch(location: AwsLocation) -> Statement:
    """CloudWatch, for the log groups of this cluster and its datastores alone (CloudWatch Logs user
    guide, "Encrypt log data using KMS")."""
    groups = [
        location.log_group_arn(f"/aws/eks/{location.cluster}/*"),
        location.log_group_arn(f"/aws/rds/instance/{location.cluster}-*"),
        location.log_group_arn(f"/aws/opensearch/{location.cluster}-*"),
    ]
    uses = ("Encrypt*", "Decrypt*", "ReEncrypt*", "GenerateDataKey*", "Describe*")
    return {
        "Sid": "ForLogGroupsOfTheStack",
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{location.region}.amazonaws.com"},
        "Action": [f"kms:{use}" for use in uses],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
    }
