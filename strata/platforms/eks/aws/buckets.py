"""Buckets: hardened alike, and those in which services keep data."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_aws import s3

from strata.model import Problem, Service
from strata.platforms.eks.aws.documents import Statement, policy_document
from strata.platforms.eks.aws.identity import PodRole, PodRoleArgs
from strata.platforms.eks.aws.keys import DATA, alias
from strata.platforms.eks.aws.location import AwsLocation

# Amazon S3 user guide, "General purpose bucket naming rules".
NAME_LENGTH = 63

# An upload that takes longer has failed.
ABORT_UPLOAD_DAYS = 7

# How long what a service has deleted or overwritten can be restored. Services delete old data
# themselves, so versions that were kept longer would undo their retention.
RESTORE_DAYS = 7

ARCHIVES = "archives"


def bucket_name(location: AwsLocation, content: str) -> str:
    """The name of a bucket, by what is in it. Bucket names are global, so it includes the account."""
    return f"{location.cluster}-{content}-{location.account}"


def check_bucket_names(location: AwsLocation, services: Iterable[Service]) -> Iterator[Problem]:
    name = bucket_name(location, ARCHIVES)
    if len(name) > NAME_LENGTH:
        yield Problem(
            "stack",
            f"{location.cluster!r} (project and stack) is too long for the bucket {name}",
            f"shorten the stack's name by {len(name) - NAME_LENGTH} characters",
        )
    for service in services:
        name = bucket_name(location, service.name)
        if service.bucket and service.name == ARCHIVES:
            message = f"the bucket {name} is that of the stack's archives"
            yield Problem(f"{service.path}: bucket", message, "rename the service")
        elif service.bucket and len(name) > NAME_LENGTH:
            yield Problem(
                f"{service.path}: bucket",
                f"the name of its bucket, {name}, is too long",
                f"shorten the name of the service or the stack by {len(name) - NAME_LENGTH}"
                " characters",
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


def bucket_arn(name: str) -> str:
    return f"arn:aws:s3:::{name}"


@dataclass(frozen=True, kw_only=True)
class HardeningArgs:
    """`name`: that of the bucket. `restore_days`: how long older versions of objects are kept;
    `retention_days`: how long objects are, if S3 is to delete them."""

    name: str
    key_arn: pulumi.Input[str]
    restore_days: int
    retention_days: int | None = None


def harden(
    resource_name: str, bucket: s3.Bucket, args: HardeningArgs, parent: pulumi.Resource
) -> tuple[pulumi.Resource, ...]:
    """Makes a bucket private, encrypted with a key of the stack, versioned, and reachable only over
    TLS. What uses the bucket depends on the result."""
    opts = pulumi.ResourceOptions(parent=parent)
    owner = s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced")
    versioning = s3.BucketVersioning(
        resource_name,
        bucket=bucket.id,
        versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
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
    return (
        s3.BucketPublicAccessBlock(
            resource_name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=opts,
        ),
        s3.BucketOwnershipControls(resource_name, bucket=bucket.id, rule=owner, opts=opts),
        versioning,
        s3.BucketServerSideEncryptionConfiguration(
            resource_name, bucket=bucket.id, rules=[encryption], opts=opts
        ),
        s3.BucketPolicy(
            resource_name, bucket=bucket.id, policy=tls_only(bucket_arn(args.name)), opts=opts
        ),
        s3.BucketLifecycleConfiguration(
            resource_name,
            bucket=bucket.id,
            rules=[_expiry(args)],
            # The rule on older versions needs versions.
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[versioning]),
        ),
    )


def _expiry(args: HardeningArgs) -> s3.BucketLifecycleConfigurationRuleArgs:
    """Without a retention, S3 removes only the markers of what services deleted."""
    days = args.retention_days
    return s3.BucketLifecycleConfigurationRuleArgs(
        id="retention",
        status="Enabled",
        filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(
            days=days, expired_object_delete_marker=True if days is None else None
        ),
        noncurrent_version_expiration=(
            s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=args.restore_days
            )
        ),
        abort_incomplete_multipart_upload=(
            s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=ABORT_UPLOAD_DAYS
            )
        ),
    )


def statements(location: AwsLocation, name: str) -> tuple[Statement, ...]:
    """What a service may do: list, read, write and delete the objects of its bucket, and use the key of
    the stack's data for S3. The key is named by its alias, which is known before it exists."""
    return (
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": bucket_arn(name)},
        {
            "Effect": "Allow",
            "Action": [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            "Resource": f"{bucket_arn(name)}/*",
        },
        {
            "Effect": "Allow",
            # S3 also decrypts when it completes an upload in parts.
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": location.arn("kms", "key/*"),
            "Condition": {
                "ForAnyValue:StringEquals": {"kms:ResourceAliases": alias(location, DATA)},
                "StringEquals": {"kms:ViaService": f"s3.{location.region}.amazonaws.com"},
            },
        },
    )


@dataclass(frozen=True, kw_only=True)
class ServiceBucketArgs:
    """`namespace`: that of the service. `cluster_name`: see `PodRoleArgs`. `granted`: further statements
    of the role of its pods."""

    location: AwsLocation
    cluster_name: pulumi.Input[str]
    service: str
    namespace: str
    key_arn: pulumi.Input[str]
    granted: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)


class ServiceBucket(pulumi.ComponentResource):
    """A bucket with the data of one service, and the role of its pods.

    It is protected: `pulumi destroy` keeps it. Pods depend on `ready`, with which they have
    credentials for the bucket.
    """

    def __init__(self, name: str, args: ServiceBucketArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__("strata:eks:ServiceBucket", name, {}, opts)
        location, physical_name = args.location, bucket_name(args.location, args.service)
        bucket = s3.Bucket(
            name,
            # Fixed, so that the service's settings can name it.
            bucket=physical_name,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        hardening = HardeningArgs(
            name=physical_name, key_arn=args.key_arn, restore_days=RESTORE_DAYS
        )
        role = PodRole(
            name,
            PodRoleArgs(
                location=location,
                cluster_name=args.cluster_name,
                namespace=args.namespace,
                service_account=args.service,
                statements={"bucket": statements(location, physical_name), **args.granted},
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.ready: tuple[pulumi.Resource, ...] = (
            *harden(name, bucket, hardening, self),
            *role.ready,
        )
        self.register_outputs({"bucket": bucket.id})
