"""Backups of a stack's volumes, and where archives go."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import backup, s3

from strata.model import Problem
from strata.platforms.eks.aws.documents import policy_document
from strata.platforms.eks.aws.identity import Role, RoleArgs, trust
from strata.platforms.eks.aws.location import AwsLocation

# Amazon S3 user guide, "General purpose bucket naming rules".
BUCKET_NAME_LENGTH = 63

BACKUP_TAG = "strata.backup"
BACKUP_VALUE = "aws-backup"

# Every day at 03:00 UTC. AWS Backup starts within the window (at least an hour) and stops trying
# after eight hours. In minutes.
SCHEDULE = "cron(0 3 * * ? *)"
START_WINDOW_MINUTES = 60
COMPLETION_WINDOW_MINUTES = 480

# An upload that takes longer has failed.
ABORT_UPLOAD_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """`volume_tags`: those of every volume of the stack, beside the tag that asks for backups.
    `retention_days`: how long a backup and an archive are kept."""

    location: AwsLocation
    volume_tags: Mapping[str, str]
    key_arn: pulumi.Input[str]
    retention_days: int


class Backups(pulumi.ComponentResource):
    """A vault with a daily plan for the volumes that contain data, and a bucket for archives.

    Vault and bucket are protected: `pulumi destroy` keeps both, and AWS doesn't delete a vault that
    has backups. The vault is not locked: in compliance mode nobody, not even AWS, could correct a
    wrong retention. A person decides that (`aws backup put-backup-vault-lock-configuration`).
    """

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:Backups", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        protected = pulumi.ResourceOptions(parent=self, protect=True)
        self.vault = backup.Vault(f"{name}-vault", kms_key_arn=args.key_arn, opts=protected)
        self._plan(name, args)
        self.bucket = s3.Bucket(
            f"{name}-archives",
            # Fixed, so that it is known before the bucket exists and after the stack is lost.
            bucket=bucket_name(args.location),
            opts=protected,
        )
        self._harden_bucket(name, args)
        self.register_outputs({"vault": self.vault.name, "archives": self.bucket.id})

    def _plan(self, name: str, args: BackupsArgs) -> None:
        plan = backup.Plan(
            f"{name}-daily",
            rules=[
                backup.PlanRuleArgs(
                    rule_name="daily",
                    target_vault_name=self.vault.name,
                    schedule=SCHEDULE,
                    start_window=START_WINDOW_MINUTES,
                    completion_window=COMPLETION_WINDOW_MINUTES,
                    lifecycle=backup.PlanRuleLifecycleArgs(delete_after=args.retention_days),
                )
            ],
            opts=self._child,
        )
        role = Role(
            f"{name}-role",
            RoleArgs(
                trust=trust("backup.amazonaws.com"),
                description=f"{args.location.cluster}: takes backups, and restores them",
                managed=(
                    "service-role/AWSBackupServiceRolePolicyForBackup",
                    "service-role/AWSBackupServiceRolePolicyForRestores",
                ),
            ),
            self._child,
        )
        wanted = {BACKUP_TAG: BACKUP_VALUE, **args.volume_tags}
        backup.Selection(
            f"{name}-volumes",
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[args.location.arn("ec2", "volume/*")],
            # All must match. (One of `selection_tags` would be enough, so the backup would include
            # volumes of other stacks in the account.)
            conditions=[
                backup.SelectionConditionArgs(
                    string_equals=[
                        backup.SelectionConditionStringEqualArgs(
                            key=f"aws:ResourceTag/{key}", value=value
                        )
                        for key, value in wanted.items()
                    ]
                )
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=role.ready),
        )

    def _harden_bucket(self, name: str, args: BackupsArgs) -> None:
        name, bucket, opts = f"{name}-archives", self.bucket.id, self._child
        s3.BucketPublicAccessBlock(
            name,
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        )
        owner = s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced")
        s3.BucketOwnershipControls(name, bucket=bucket, rule=owner, opts=opts)
        versioning = s3.BucketVersioning(
            name,
            bucket=bucket,
            versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=opts,
        )
        by_default = (
            s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                sse_algorithm="aws:kms", kms_master_key_id=args.key_arn
            )
        )
        encryption = s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=by_default,
            # One request to KMS for many objects.
            bucket_key_enabled=True,
        )
        s3.BucketServerSideEncryptionConfiguration(
            name, bucket=bucket, rules=[encryption], opts=opts
        )
        policy = tls_only(f"arn:aws:s3:::{bucket_name(args.location)}")
        s3.BucketPolicy(name, bucket=bucket, policy=policy, opts=opts)
        s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket,
            rules=[_expiry(args.retention_days)],
            # The rule on older versions needs versions.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )


def bucket_name(location: AwsLocation) -> str:
    """The name of the bucket for archives. Bucket names are global, so it includes the account."""
    return f"{location.cluster}-archives-{location.account}"


def check_bucket_name(location: AwsLocation) -> Iterator[Problem]:
    name = bucket_name(location)
    if len(name) > BUCKET_NAME_LENGTH:
        yield Problem(
            "stack",
            f"{location.cluster!r} (project and stack) is too long for the bucket {name}",
            f"shorten the stack's name by {len(name) - BUCKET_NAME_LENGTH} characters",
        )


def _expiry(retention_days: int) -> s3.BucketLifecycleConfigurationRuleArgs:
    """Overwritten and deleted archives are kept as long as others."""
    return s3.BucketLifecycleConfigurationRuleArgs(
        id="retention",
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(days=retention_days),
        noncurrent_version_expiration=(
            s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=retention_days
            )
        ),
        abort_incomplete_multipart_upload=(
            s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=ABORT_UPLOAD_DAYS
            )
        ),
    )


def tls_only(bucket_arn: str) -> str:
    """A bucket policy that rejects requests without TLS."""
    return policy_document(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, f"{bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )
