"""Image repositories, backups and archives."""

import json
from dataclasses import replace

import pulumi
import pytest

from strata.platforms.eks.aws.backups import Backups, BackupsArgs
from strata.platforms.eks.aws.buckets import check_bucket_names
from strata.platforms.eks.aws.registry import Registry, RegistryArgs, lifecycle
from tests.components.eks.examples import LOCATION, ancestors, make, only
from tests.planned import Program

KEY = "arn:aws:kms:us-east-1:111122223333:key/data"


@pytest.fixture(scope="module")
def registry() -> Program:
    def part(opts: pulumi.ResourceOptions) -> Registry:
        images = ("inference", "application")
        return Registry("registry", RegistryArgs(location=LOCATION, images=images), opts)

    return make(part)


def test_each_image_has_a_repository_of_its_name(registry: Program) -> None:
    assert {one.inputs["name"] for one in registry.of(":Repository")} == {
        "strata-prod/application",
        "strata-prod/inference",
    }


def test_repositories_are_immutable_scanned_and_encrypted(registry: Program) -> None:
    key = only(registry, ":Key")
    for repository in registry.of(":Repository"):
        assert repository.inputs["imageTagMutability"] == "IMMUTABLE"
        assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository.inputs["encryptionConfigurations"] == [
            {"encryptionType": "KMS", "kmsKey": key.outputs["arn"]}
        ]


def test_each_repository_forgets_old_images(registry: Program) -> None:
    policies = {
        one.inputs["repository"]: one.inputs["policy"] for one in registry.of(":LifecyclePolicy")
    }
    assert set(policies) == {one.inputs["name"] for one in registry.of(":Repository")}
    assert set(policies.values()) == {lifecycle()}


def test_untagged_images_go_after_days_and_the_others_by_number() -> None:
    first, second = json.loads(lifecycle())["rules"]
    assert first["selection"]["tagStatus"] == "untagged"
    assert first["selection"]["countUnit"] == "days"
    assert second["selection"]["countType"] == "imageCountMoreThan"
    assert first["rulePriority"] < second["rulePriority"]


@pytest.fixture(scope="module")
def backups() -> Program:
    tags = {"strata.project": "strata", "strata.stack": "prod"}

    def part(opts: pulumi.ResourceOptions) -> Backups:
        args = BackupsArgs(location=LOCATION, volume_tags=tags, key_arn=KEY, retention_days=35)
        return Backups("backups", args, opts)

    return make(part)


def test_volumes_are_backed_up_every_day_and_kept_as_long_as_asked(backups: Program) -> None:
    (rule,) = only(backups, ":Plan").inputs["rules"]
    vault = only(backups, ":Vault")
    assert rule["targetVaultName"] == vault.outputs["name"]
    assert rule["schedule"] == "cron(0 3 * * ? *)"
    assert rule["lifecycle"] == {"deleteAfter": 35}
    # EBS cannot be cheaper: AWS takes nothing that is kept for less than 90 days into cold storage.
    assert vault.inputs["kmsKeyArn"] == KEY


def test_the_backup_takes_the_volumes_of_this_stack_and_of_no_other(backups: Program) -> None:
    selection = only(backups, ":Selection").inputs
    assert selection["resources"] == ["arn:aws:ec2:us-east-1:111122223333:volume/*"]
    (condition,) = selection["conditions"]
    # Conditions have to hold all; of `selectionTags` one would be enough.
    assert "selectionTags" not in selection
    assert {one["key"]: one["value"] for one in condition["stringEquals"]} == {
        "aws:ResourceTag/strata.backup": "aws-backup",
        "aws:ResourceTag/strata.project": "strata",
        "aws:ResourceTag/strata.stack": "prod",
    }


def test_the_role_of_the_backup_can_restore_too(backups: Program) -> None:
    attachments = backups.of(":RolePolicyAttachment")
    assert {one.inputs["policyArn"].rsplit("/")[-1] for one in attachments} == {
        "AWSBackupServiceRolePolicyForBackup",
        "AWSBackupServiceRolePolicyForRestores",
    }
    assert {one.urn for one in attachments} <= only(backups, ":Selection").dependencies


def test_vault_and_archives_are_protected(backups: Program) -> None:
    assert {one.type.rsplit(":")[-1] for one in backups.resources if one.protect} == {
        "Vault",
        "Bucket",
    }


def test_archives_are_private_encrypted_and_versioned(backups: Program) -> None:
    block = only(backups, ":BucketPublicAccessBlock").inputs
    assert all(value for key, value in block.items() if key != "bucket")
    assert len(block) == 5
    (rule,) = only(backups, ":BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": KEY,
    }
    versioning = only(backups, ":BucketVersioning").inputs["versioningConfiguration"]
    assert versioning == {"status": "Enabled"}
    ownership = only(backups, ":BucketOwnershipControls").inputs["rule"]
    assert ownership == {"objectOwnership": "BucketOwnerEnforced"}


def test_archives_are_reached_over_tls_alone(backups: Program) -> None:
    policy = only(backups, ":BucketPolicy").inputs["policy"]
    (statement,) = json.loads(policy)["Statement"]
    arn = f"arn:aws:s3:::{only(backups, ':Bucket').inputs['bucket']}"
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Resource"] == [arn, f"{arn}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_name_of_a_stack_that_is_too_long_for_its_bucket_is_refused() -> None:
    assert list(check_bucket_names(LOCATION, ())) == []
    (problem,) = check_bucket_names(replace(LOCATION, cluster=42 * "a"), ())
    assert problem.path == "stack"
    assert "by 1 characters" in problem.fix


def test_archives_are_kept_as_long_as_backups(backups: Program) -> None:
    (rule,) = only(backups, ":BucketLifecycleConfiguration").inputs["rules"]
    assert rule["status"] == "Enabled"
    assert rule["expiration"] == {"days": 35}
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 35}


@pytest.mark.parametrize("name", ["registry", "backups"])
def test_everything_belongs_to_its_component(name: str, request: pytest.FixtureRequest) -> None:
    program: Program = request.getfixturevalue(name)
    for one in program.resources:
        if one.custom:
            assert f"strata:eks:{name.title()}" in ancestors(program, one)
