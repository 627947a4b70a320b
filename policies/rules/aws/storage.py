"""Container registries and buckets."""

from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge, Resource, Stack
from strata.policies.crossguard.rule import MANDATORY, Changes, Rule, is_type
from strata.policies.crossguard.values import dig, items, text
from strata.policies.rules.aws import facts
from strata.policies.rules.aws.objects import allows_everybody, principals, related, statements


def harden_repository(resource: Resource, settings: Mapping[str, Any]) -> Changes:
    """Leaves the encryption alone: changing it replaces the repository."""
    if resource.type != facts.REPOSITORY:
        return {}
    return {
        ("imageTagMutability",): "IMMUTABLE",
        ("imageScanningConfiguration", "scanOnPush"): True,
    }


@Rule(
    title="A container registry is private, immutable, encrypted with KMS, and scanned.",
    risk="Anybody can pull the images, a tag changes its image, or nobody scans them.",
    fix="Set `imageTagMutability: IMMUTABLE`, `encryptionConfigurations` of type KMS and "
    "`imageScanningConfiguration.scanOnPush: true`. Don't use a public repository.",
    references=("CIS-EKS 5.1.1", "CKV_AWS_51", "CKV_AWS_136", "CKV_AWS_163", "CKV_AWS_32"),
    severity="high",
    accepts=is_type(facts.REPOSITORY, facts.PUBLIC_REPOSITORY, facts.REPOSITORY_POLICY),
    remediation=harden_repository,
)
def ecr(resource: Resource, judge: Judge) -> None:
    if resource.type == facts.PUBLIC_REPOSITORY:
        judge.violation("public", "the repository is public")
        return
    if resource.type == facts.REPOSITORY_POLICY:
        if any(allows_everybody(statement) for statement in statements(resource.get("policy"))):
            judge.violation("policy", "policy allows everybody")
        return
    judge.require(resource, "mutable", "imageTagMutability", "IMMUTABLE")
    judge.require(resource, "scan", "imageScanningConfiguration.scanOnPush", "true")
    encryptions = items(resource.get("encryptionConfigurations"))
    kinds = {text(dig(encryption, "encryptionType")) for encryption in encryptions}
    if not kinds & {"KMS", "KMS_DSSE"}:
        judge.violation("key", "encryptionConfigurations is not of type KMS")


@Rule(
    title="A bucket blocks public access in all four ways.",
    risk="One wrong policy or ACL makes the bucket public.",
    fix="Create a BucketPublicAccessBlock of the bucket with all four set to true.",
    references=("CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56"),
    severity="critical",
)
def s3_blocks(stack: Stack, judge: Judge) -> None:
    for bucket in stack.of(*facts.BUCKETS):
        blocks = related(stack, bucket, "bucket", facts.ACCESS_BLOCK)
        if not blocks:
            judge.violation("absent", "the bucket has no BucketPublicAccessBlock", bucket)
        for block in blocks:
            for name in facts.FOUR_BLOCKS:
                judge.require(block, "open", name, "true")


@Rule(
    title="A bucket is reachable only over TLS.",
    risk="Data crosses the network unencrypted.",
    fix="Create a BucketPolicy that denies access when `aws:SecureTransport` is false.",
    references=("CKV_AWS_379",),
    severity="high",
    dev_level=MANDATORY,
)
def s3_tls(stack: Stack, judge: Judge) -> None:
    for bucket in stack.of(*facts.BUCKETS):
        with judge.of(bucket):
            if not any(
                requires_tls(statement)
                for policy in related(stack, bucket, "bucket", facts.BUCKET_POLICY)
                for statement in statements(policy.get("policy"))
            ):
                judge.violation("plain", "no policy denies access without TLS", bucket)


def requires_tls(statement: dict[str, Any]) -> bool:
    """Whether a statement denies access without TLS to everybody."""
    secure = items(dig(statement.get("Condition"), "Bool", "aws:SecureTransport"))
    return (
        text(statement.get("Effect")) == "Deny"
        and "*" in principals(statement, "AWS")
        and "false" in (text(value) for value in secure)
    )


@Rule(
    title="A bucket is encrypted with your own key.",
    risk="No key policy limits the use of the data, and no log of the key shows it.",
    fix="Create a BucketServerSideEncryptionConfiguration with `sseAlgorithm: aws:kms`.",
    references=("CKV_AWS_145", "AWS-0132"),
    severity="medium",
)
def s3_kms(stack: Stack, judge: Judge) -> None:
    for bucket in stack.of(*facts.BUCKETS):
        with judge.of(bucket):
            kinds = [
                text(dig(entry, "applyServerSideEncryptionByDefault", "sseAlgorithm"))
                for configuration in related(stack, bucket, "bucket", *facts.ENCRYPTIONS)
                for entry in items(configuration.get("rules"))
            ]
            if not any(kind.startswith("aws:kms") for kind in kinds):
                judge.violation("key", "the bucket is not encrypted with KMS", bucket)


@Rule(
    title="A bucket keeps versions.",
    risk="One wrong write or delete loses the data.",
    fix="Create a BucketVersioning with the status Enabled.",
    references=("CKV_AWS_21", "AWS-0090"),
    severity="medium",
)
def s3_versioning(stack: Stack, judge: Judge) -> None:
    for bucket in stack.of(*facts.BUCKETS):
        with judge.of(bucket):
            states = [
                text(versioning.get("versioningConfiguration", "status"))
                for versioning in related(stack, bucket, "bucket", *facts.VERSIONINGS)
            ]
            if "Enabled" not in states:
                judge.violation("off", "the bucket has no enabled BucketVersioning", bucket)
