"""Roles of services and jobs in AWS: what a system permits, and nothing else."""

import json
from typing import Any

import pytest

from strata.model import AwsPermission
from strata.model.checks import workload_problems
from tests.components.eks.test_agents import egress, objects, planned
from tests.components.eks.test_buckets import of, store
from tests.planned import Program
from tests.unit.examples import service

QUEUE = "arn:aws:sqs:us-east-1:111122223333:orders"
SEND = AwsPermission(
    actions=("sqs:SendMessage",),
    resources=(QUEUE,),
    conditions={"Bool": {"aws:SecureTransport": "true"}},
)
STATEMENT = {
    "Effect": "Allow",
    "Action": ["sqs:SendMessage"],
    "Resource": [QUEUE],
    "Condition": {"Bool": {"aws:SecureTransport": "true"}},
}


@pytest.fixture(scope="module")
def program() -> Program:
    return planned(
        service("shop", aws_permissions=(SEND,)),
        service("other"),
        store(aws_permissions=(SEND,)),
        gpus=False,
    )


def policy(program: Program, name: str) -> Any:
    return json.loads(of(program, "RolePolicy", name).inputs["policy"])["Statement"]


def test_the_role_of_a_service_has_its_permissions_and_no_others(program: Program) -> None:
    assert policy(program, "eks-role-shop-permissions") == [STATEMENT]
    attached = {one.inputs["role"] for one in program.of(":RolePolicyAttachment")}
    assert of(program, "iam/role:Role", "eks-role-shop").outputs["name"] not in attached


def test_only_the_pods_of_the_service_have_the_role(program: Program) -> None:
    association = of(program, "PodIdentityAssociation", "eks-role-shop").inputs
    assert (association["namespace"], association["serviceAccount"]) == ("strata-prod", "shop")
    trust = json.loads(of(program, "iam/role:Role", "eks-role-shop").inputs["assumeRolePolicy"])
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}


def test_a_service_with_a_bucket_has_one_role_for_both(program: Program) -> None:
    accounts = [one.inputs["serviceAccount"] for one in program.of(":PodIdentityAssociation")]
    assert sorted(name for name in accounts if name in ("logs", "shop", "other")) == [
        "logs",
        "shop",
    ]
    assert policy(program, "eks-bucket-logs-permissions") == [STATEMENT]
    assert len(policy(program, "eks-bucket-logs-bucket")) == 3


def test_its_pods_start_with_credentials_and_reach_nothing_else(program: Program) -> None:
    (deployment,) = [one for one in program.of(":Deployment") if one.name == "shop"]
    assert of(program, "PodIdentityAssociation", "eks-role-shop").urn in deployment.dependencies
    assert of(program, "RolePolicy", "eks-role-shop-permissions").urn in deployment.dependencies
    assert egress(program, "shop") == {("169.254.170.23/32", 80)}
    assert "other" not in objects(program, "NetworkPolicy", "strata-prod")


@pytest.mark.parametrize(
    ("actions", "resources", "path", "message"),
    [
        ((), (QUEUE,), "", "allows nothing"),
        (("*",), (QUEUE,), ".actions", "'*' is not an action of AWS"),
        (("*:*",), ("*",), ".actions", "'*:*' is not an action of AWS"),
        (("iam:*",), ("*",), ".actions", "iam:* on * allows everything of iam"),
        (("sqs:SendMessage",), ("orders",), ".resources", "'orders' is not an ARN"),
    ],
)
def test_permissions_that_are_none_or_too_wide(
    actions: tuple[str, ...], resources: tuple[str, ...], path: str, message: str
) -> None:
    permission = AwsPermission(actions=actions, resources=resources)
    (problem,) = workload_problems(service("shop", aws_permissions=(permission,)))
    assert problem.path == f"service shop: aws_permissions[0]{path}"
    assert problem.message == message


def test_actions_that_have_no_resource() -> None:
    listing = AwsPermission(actions=("s3:ListAllMyBuckets", "ec2:Describe*"), resources=("*",))
    assert not list(workload_problems(service("shop", aws_permissions=(listing,))))
