"""Buckets of services: hardened, protected, and for their own pods alone."""

import json
from typing import Any

import pytest

from strata.model import BucketName, File, Region, Service
from strata.platforms.eks.aws.buckets import check_bucket_names
from tests.components.eks.examples import LOCATION, ancestors
from tests.components.eks.test_agents import objects, planned
from tests.planned import Planned, Program
from tests.unit.examples import service

NAME = "strata-prod-logs-111122223333"
RESOURCE = "eks-bucket-logs"


def store(name: str = "logs", **changed: Any) -> Service:
    text = ("s3://", BucketName(), "?region=", Region())
    return service(name, bucket=True, files=(File(path="/etc/a/config", content=text),), **changed)


@pytest.fixture(scope="module")
def program() -> Program:
    return planned(store(), service("app"), gpus=False)


def of(program: Program, kind: str, name: str = RESOURCE) -> Planned:
    (found,) = [one for one in program.of(f":{kind}") if one.name == name]
    return found


def test_a_service_has_a_bucket_that_is_protected(program: Program) -> None:
    bucket = of(program, "Bucket")
    assert bucket.inputs["bucket"] == NAME
    assert bucket.protect
    assert ancestors(program, bucket)[0] == "strata:eks:ServiceBucket"
    assert {one.name for one in program.of(":Bucket")} == {RESOURCE, "eks-backups-archives"}


def test_its_settings_name_the_bucket(program: Program) -> None:
    (config,) = [
        one["data"]
        for one in objects(program, "ConfigMap", "strata-prod").values()
        if "config" in one.get("data", {})
    ]
    assert config == {"config": f"s3://{NAME}?region=us-east-1"}


def test_it_is_private_encrypted_versioned_and_reached_over_tls(program: Program) -> None:
    block = dict(of(program, "BucketPublicAccessBlock").inputs)
    assert block.pop("bucket") == of(program, "Bucket").id
    assert block == dict.fromkeys(
        ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True
    )
    (rule,) = of(program, "BucketServerSideEncryptionConfiguration").inputs["rules"]
    key = of(program, "Key", "eks-keys-data").outputs["arn"]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": key,
    }
    assert of(program, "BucketVersioning").inputs["versioningConfiguration"] == {
        "status": "Enabled"
    }
    (statement,) = json.loads(of(program, "BucketPolicy").inputs["policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Resource"] == [f"arn:aws:s3:::{NAME}", f"arn:aws:s3:::{NAME}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_s3_deletes_only_what_the_service_has_deleted(program: Program) -> None:
    (rule,) = of(program, "BucketLifecycleConfiguration").inputs["rules"]
    assert rule["expiration"] == {"expiredObjectDeleteMarker": True}
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


def test_its_pods_may_use_this_bucket_and_nothing_else(program: Program) -> None:
    association = of(program, "PodIdentityAssociation").inputs
    assert (association["namespace"], association["serviceAccount"]) == ("strata-prod", "logs")
    assert association["roleArn"] == of(program, "iam/role:Role").outputs["arn"]
    policy = json.loads(of(program, "RolePolicy", f"{RESOURCE}-bucket").inputs["policy"])
    listing, data, key = policy["Statement"]
    assert listing == {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": f"arn:aws:s3:::{NAME}",
    }
    assert data["Resource"] == f"arn:aws:s3:::{NAME}/*"
    assert data["Action"] == [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ]
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert key["Condition"] == {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/strata-prod/data"},
        "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
    }


def test_bucket_and_credentials_are_there_before_the_pods(program: Program) -> None:
    (deployment,) = [one for one in program.of(":Deployment") if one.name == "logs"]
    first = {
        of(program, kind).urn
        for kind in ("BucketPolicy", "BucketServerSideEncryptionConfiguration")
    }
    first |= {of(program, "PodIdentityAssociation").urn}
    first |= {of(program, "RolePolicy", f"{RESOURCE}-bucket").urn}
    assert first <= deployment.dependencies
    (other,) = [one for one in program.of(":Deployment") if one.name == "app"]
    assert not first & other.dependencies


def test_its_pods_reach_s3_and_their_credentials_and_others_do_not(program: Program) -> None:
    policies = objects(program, "NetworkPolicy", "strata-prod")
    names, credentials, s3 = policies["logs"]["spec"]["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert credentials == {
        "to": [{"ipBlock": {"cidr": "169.254.170.23/32"}}],
        "ports": [{"port": 80, "protocol": "TCP"}],
    }
    assert s3["to"][0]["ipBlock"]["cidr"] == "0.0.0.0/0"
    assert "10.0.0.0/8" in s3["to"][0]["ipBlock"]["except"]
    assert s3["ports"] == [{"port": 443, "protocol": "TCP"}]
    assert "app" not in policies


def test_a_name_that_is_taken_or_too_long_is_refused() -> None:
    reported = [
        f"{one.path}: {one.fix}"
        for one in check_bucket_names(
            LOCATION, [store("archives"), store(40 * "a"), store("logs"), service(40 * "b")]
        )
    ]
    assert reported == [
        "service archives: bucket: rename the service",
        f"service {40 * 'a'}: bucket: shorten the name of the service or the stack by 2 characters",
    ]
