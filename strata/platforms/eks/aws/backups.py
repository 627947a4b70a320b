"""Backups of a stack's volumes, and where archives go."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import backup, s3

from strata.platforms.eks.aws.buckets import ARCHIVES, HardeningArgs, bucket_name, harden
from strata.platforms.eks.aws.identity import Role, RoleArgs, trust
from strata.platforms.eks.aws.location import AwsLocation

BACKUP_TAG = "strata.backup"
BACKUP_VALUE = "aws-backup"

# Every day at 03:00 UTC. AWS Backup starts within the window (at least an hour) and stops trying
# after eight hours. In minutes.
SCHEDULE = "cron(0 3 * * ? *)"
START_WINDOW_MINUTES = 60
COMPLETION_WINDOW_MINUTES = 480


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
        archives = bucket_name(args.location, ARCHIVES)
        self.bucket = s3.Bucket(
            f"{name}-archives",
            # Fixed, so that it is known before the bucket exists and after the stack is lost.
            bucket=archives,
            opts=protected,
        )
        harden(
            f"{name}-archives",
            self.bucket,
            HardeningArgs(
                name=archives,
                key_arn=args.key_arn,
                # Overwritten and deleted archives are kept as long as others.
                restore_days=args.retention_days,
                retention_days=args.retention_days,
            ),
            self,
        )
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
