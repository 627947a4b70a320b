"""Roles and keys: who may use what."""

import json
from typing import Any

import pulumi
import pytest

from strata.platforms.eks.aws.identity import PodRole, PodRoleArgs, node_role
from strata.platforms.eks.aws.keys import Keys
from tests.components.eks.examples import LOCATION, ancestors, make, only
from tests.planned import Planned, Program


def _statements(text: str) -> list[dict[str, Any]]:
    document = json.loads(text)
    assert document["Version"] == "2012-10-17"
    statements: list[dict[str, Any]] = document["Statement"]
    return statements


def _trust(role: Planned) -> dict[str, Any]:
    (statement,) = _statements(role.inputs["assumeRolePolicy"])
    return statement


@pytest.fixture(scope="module")
def pod_role() -> Program:
    def part(opts: pulumi.ResourceOptions) -> PodRole:
        return PodRole(
            "volumes",
            PodRoleArgs(
                location=LOCATION,
                cluster_name="strata-prod",
                namespace="kube-system",
                service_account="ebs-csi-controller-sa",
                managed=("service-role/AmazonEBSCSIDriverPolicy",),
                statements={
                    "key": ({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:key"},)
                },
            ),
            opts,
        )

    return make(part)


def test_a_pods_role_is_bound_to_its_service_account(pod_role: Program) -> None:
    association = only(pod_role, ":PodIdentityAssociation").inputs
    assert association["clusterName"] == "strata-prod"
    assert association["namespace"] == "kube-system"
    assert association["serviceAccount"] == "ebs-csi-controller-sa"
    assert association["roleArn"] == only(pod_role, "iam/role:Role").outputs["arn"]


def test_a_pods_role_is_taken_by_pod_identity_for_this_cluster_alone(pod_role: Program) -> None:
    trust = _trust(only(pod_role, "iam/role:Role"))
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:eks:us-east-1:111122223333:cluster/strata-prod"},
    }


def test_a_role_has_its_policies(pod_role: Program) -> None:
    attached = only(pod_role, ":RolePolicyAttachment").inputs
    assert attached["policyArn"] == (
        "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy"
    )
    assert attached["role"] == only(pod_role, ":RolePolicy").inputs["role"]
    (statement,) = _statements(only(pod_role, ":RolePolicy").inputs["policy"])
    assert statement["Action"] == "kms:Decrypt"


def test_all_of_a_role_belongs_to_it(pod_role: Program) -> None:
    for one in pod_role.resources:
        if one.custom:
            assert "strata:eks:PodRole" in ancestors(pod_role, one)


def test_nodes_may_join_and_pull_images_and_no_more() -> None:
    program = make(lambda opts: node_role("nodes", LOCATION, opts))
    assert {one.inputs["policyArn"].rsplit("/")[-1] for one in program.of("Attachment")} == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEC2ContainerRegistryPullOnly",
    }
    assert not program.of(":RolePolicy")
    trust = _trust(only(program, "iam/role:Role"))
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}


@pytest.fixture(scope="module")
def keys() -> Program:
    return make(lambda opts: Keys("keys", LOCATION, opts))


def test_every_key_is_rotated(keys: Program) -> None:
    assert {one.name for one in keys.of(":Key")} == {"keys-secrets", "keys-logs", "keys-data"}
    for key in keys.of(":Key"):
        assert key.inputs["enableKeyRotation"] is True


def test_every_key_names_who_may_use_it(keys: Program) -> None:
    for key in keys.of(":Key"):
        for statement in _statements(key.inputs["policy"]):
            assert statement["Principal"] in (
                {"AWS": "arn:aws:iam::111122223333:root"},
                {"Service": "logs.us-east-1.amazonaws.com"},
            )


def test_cloudwatch_may_use_the_key_of_the_logs_for_logs_of_the_cluster_alone(
    keys: Program,
) -> None:
    users = {
        key.name: statement["Condition"]
        for key in keys.of(":Key")
        for statement in _statements(key.inputs["policy"])
        if "Service" in statement["Principal"]
    }
    assert users == {
        "keys-logs": {
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": [
                    f"arn:aws:logs:us-east-1:111122223333:log-group:/aws/{groups}"
                    for groups in (
                        "eks/strata-prod/*",
                        "rds/instance/strata-prod-*",
                        "opensearch/strata-prod-*",
                    )
                ]
            }
        }
    }


def test_the_key_of_the_data_is_protected(keys: Program) -> None:
    assert [key.name for key in keys.of(":Key") if key.protect] == ["keys-data"]
