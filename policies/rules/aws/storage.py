"""Registries and buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strata.policies.crossguard.judge import Judge
from strata.policies.crossguard.rule import ADVISORY, MANDATORY, Resource, Stack, rule
from strata.policies.crossguard.values import dig, flag, items, text
from strata.policies.rules.aws.objects import (
    BUCKETS,
    belonging,
    open_to_all,
    principals,
    statements,
)

REPOSITORY = "aws:ecr/repository:Repository"
PUBLIC_REPOSITORY = "aws:ecrpublic/repository:Repository"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration"
ENCRYPTIONS = (
    f"{ENCRYPTION}:BucketServerSideEncryptionConfiguration",
    f"{ENCRYPTION}V2:BucketServerSideEncryptionConfigurationV2",
)
VERSIONINGS = (
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:s3/bucketVersioningV2:BucketVersioningV2",
)
FOUR_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def harden_repository(
    resource: Resource, settings: Mapping[str, Any]
) -> dict[tuple[str, ...], Any]:
    """Tags that stay, and scans. Encryption is left: it would replace the repository."""
    del settings
    if resource.type != REPOSITORY:
        return {}
    return {
        ("imageTagMutability",): "IMMUTABLE",
        ("imageScanningConfiguration", "scanOnPush"): True,
    }


@rule(
    slug="ecr",
    title="A registry is private, its tags stay, it is encrypted by a key, and it scans.",
    stops="Images that anybody can pull, that change under their tag, or that nobody scans.",
    comply="Set `imageTagMutability: IMMUTABLE`, `encryptionConfigurations` of type KMS and "
    "`imageScanningConfiguration.scanOnPush: true`; use no public repository.",
    benchmark=("CIS-EKS 5.1.1", "CKV_AWS_51", "CKV_AWS_136", "CKV_AWS_163", "CKV_AWS_32"),
    severity="high",
    development=ADVISORY,
    production=MANDATORY,
    accepts=frozenset({REPOSITORY, PUBLIC_REPOSITORY, REPOSITORY_POLICY}),
    remedy=harden_repository,
)
def ecr(resource: Resource, judge: Judge) -> None:
    """Private, immutable, KMS, scan on push."""
    if resource.type == PUBLIC_REPOSITORY:
        judge.violation("public", "the repository is public")
        return
    if resource.type == REPOSITORY_POLICY:
        if any(open_to_all(one) for one in statements(resource.get("policy"))):
            judge.violation("policy", "the repository's policy allows everybody")
        return
    with judge:
        if text(resource.get("imageTagMutability")) != "IMMUTABLE":
            judge.violation("mutable", "imageTagMutability is not IMMUTABLE")
    with judge:
        kinds = [
            text(dig(one, "encryptionType"))
            for one in items(resource.get("encryptionConfigurations"))
        ]
        if not {"KMS", "KMS_DSSE"} & set(kinds):
            judge.violation("key", "encryptionConfigurations is not of type KMS")
    with judge:
        if not flag(resource.get("imageScanningConfiguration", "scanOnPush")):
            judge.violation("scan", "imageScanningConfiguration.scanOnPush is not true")


@rule(
    slug="s3-blocks",
    title="A bucket blocks public access in all four ways.",
    stops="A bucket that one wrong policy or ACL makes public.",
    comply="Make a BucketPublicAccessBlock of the bucket with all four set to true.",
    benchmark=("CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56"),
    severity="critical",
    development=MANDATORY,
    production=MANDATORY,
)
def s3_blocks(stack: Stack, judge: Judge) -> None:
    """The block is there, and whole."""
    for bucket in stack.of(*BUCKETS):
        blocks = belonging(stack, bucket, (BLOCK,), "bucket")
        if not blocks:
            judge.violation("absent", "the bucket does not block public access", bucket)
        for block in blocks:
            for name in FOUR_BLOCKS:
                with judge.of(block):
                    if not flag(block.get(name)):
                        judge.violation("open", f"{name} is not true", block)


@rule(
    slug="s3-tls",
    title="A bucket answers over TLS only.",
    stops="Data that crosses the network in the clear.",
    comply="Make a BucketPolicy that denies when `aws:SecureTransport` is false.",
    benchmark=("CKV_AWS_379",),
    severity="high",
    development=MANDATORY,
    production=MANDATORY,
)
def s3_tls(stack: Stack, judge: Judge) -> None:
    """A statement that denies everybody without TLS."""
    for bucket in stack.of(*BUCKETS):
        with judge.of(bucket):
            policies = belonging(stack, bucket, (BUCKET_POLICY,), "bucket")
            documents = [one.get("policy") for one in policies]
            if not any(denies_plain(one) for document in documents for one in statements(document)):
                judge.violation("plain", "no policy denies access without TLS", bucket)


def denies_plain(statement: dict[str, Any]) -> bool:
    """Whether a statement denies everybody who comes without TLS."""
    secure = items(dig(statement.get("Condition"), "Bool", "aws:SecureTransport"))
    everybody = "*" in principals(statement, "AWS")
    return (
        text(statement.get("Effect")) == "Deny"
        and everybody
        and "false" in (text(one) for one in secure)
    )


@rule(
    slug="s3-kms",
    title="A bucket is encrypted with a key of one's own.",
    stops="Data whose use no key policy bounds and no log of the key shows.",
    comply="Make a BucketServerSideEncryptionConfiguration with `sseAlgorithm: aws:kms`.",
    benchmark=("CKV_AWS_145", "AWS-0132"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
)
def s3_kms(stack: Stack, judge: Judge) -> None:
    """KMS, in the bucket's configuration."""
    for bucket in stack.of(*BUCKETS):
        with judge.of(bucket):
            kinds = [
                text(dig(one, "applyServerSideEncryptionByDefault", "sseAlgorithm"))
                for configuration in belonging(stack, bucket, ENCRYPTIONS, "bucket")
                for one in items(configuration.get("rules"))
            ]
            if not any(kind.startswith("aws:kms") for kind in kinds):
                judge.violation("key", "the bucket is not encrypted with KMS", bucket)


@rule(
    slug="s3-versioning",
    title="A bucket keeps versions.",
    stops="Data that one wrong write or delete takes.",
    comply="Make a BucketVersioning with the status Enabled.",
    benchmark=("CKV_AWS_21", "AWS-0090"),
    severity="medium",
    development=ADVISORY,
    production=MANDATORY,
)
def s3_versioning(stack: Stack, judge: Judge) -> None:
    """Enabled."""
    for bucket in stack.of(*BUCKETS):
        with judge.of(bucket):
            states = [
                text(one.get("versioningConfiguration", "status"))
                for one in belonging(stack, bucket, VERSIONINGS, "bucket")
            ]
            if "Enabled" not in states:
                judge.violation("off", "the bucket keeps no versions", bucket)
