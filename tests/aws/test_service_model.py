"""Checking requests against the services' models."""

from typing import Any

import botocore.session
import pytest
from botocore.model import OperationModel

from tests.aws import adapters
from tests.aws.service_model import UntranslatableError, compiled, problems


def operation(service: str, name: str) -> OperationModel:
    return botocore.session.get_session().get_service_model(service).operation_model(name)


GOOD_NODE_GROUP: dict[str, Any] = {
    "clusterName": "strata",
    "nodegroupName": "gpu",
    "subnets": ["subnet-1"],
    "nodeRole": "arn:aws:iam::111122223333:role/node",
    "amiType": "AL2023_x86_64_NVIDIA",
    "capacityType": "SPOT",
    "labels": {"strata.node-group": "gpu"},
    "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
    "scalingConfig": {"minSize": 0, "maxSize": 2, "desiredSize": 0},
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amiType": "AL2025"}, "amiType: 'AL2025' is none of AL2_x86_64, "),
        ({"taints": [{"effect": "NoSchedule"}]}, "taints[0].effect: 'NoSchedule' is none of "),
        ({"taints": [{"key": "k" * 64}]}, "taints[0].key: 64 characters, and the most is 63"),
        ({"labels": {"a": "v" * 64}}, "labels['a']: 64 characters, and the most is 63"),
        ({"labels": {"k" * 64: "v"}}, f"labels (key '{'k' * 64}'): 64 characters, and the most"),
        ({"scalingConfig": {"maxSize": 0}}, "Invalid value for parameter scalingConfig.maxSize"),
        ({"updateConfig": {"maxUnavailablePercentage": 101}}, "and the most is 100"),
        ({"subnet": ["subnet-1"]}, 'Unknown parameter in input: "subnet"'),
        ({"subnets": "subnet-1"}, "Invalid type for parameter subnets"),
        ({"nodeRole": None}, "Invalid type for parameter nodeRole"),
    ],
)
def test_a_bad_member_is_told_with_its_place(changes: dict[str, Any], said: str) -> None:
    found = problems(operation("eks", "CreateNodegroup"), GOOD_NODE_GROUP | changes)
    assert len(found) == 1
    assert said in found[0]


def test_a_good_request_has_no_problems() -> None:
    assert problems(operation("eks", "CreateNodegroup"), GOOD_NODE_GROUP) == []


def test_a_member_that_is_missing() -> None:
    request = {key: value for key, value in GOOD_NODE_GROUP.items() if key != "subnets"}
    found = problems(operation("eks", "CreateNodegroup"), request)
    assert found == ['Missing required parameter in input: "subnets"']


def test_all_problems_are_told_at_once() -> None:
    request = GOOD_NODE_GROUP | {"amiType": "x", "capacityType": "y", "subnets": 1}
    assert len(problems(operation("eks", "CreateNodegroup"), request)) == 3


def test_a_pattern() -> None:
    alias = operation("kms", "CreateAlias")
    assert problems(alias, {"AliasName": "alias/strata", "TargetKeyId": "1"}) == []
    found = problems(alias, {"AliasName": "alias/with space", "TargetKeyId": "1"})
    assert found == ["AliasName: 'alias/with space' does not match ^[a-zA-Z0-9:/_-]+$"]


def test_a_pattern_matches_the_whole() -> None:
    group = operation("logs", "CreateLogGroup")
    found = problems(group, {"logGroupName": "/aws/good\n"})
    assert found == [r"logGroupName: '/aws/good\n' does not match [\.\-_/#A-Za-z0-9]+"]


@pytest.mark.parametrize(
    ("service", "name", "request_", "said"),
    [
        (
            "kms",
            "CreateKey",
            {"Tags": [{"TagKey": "k" * 129, "TagValue": ""}]},
            "Tags[0].TagKey: 129 characters, and the most is 128",
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "g", "tags": {f"k{number}": "v" for number in range(51)}},
            "tags: 51 entries, and the most is 50",
        ),
        (
            "logs",
            "CreateLogGroup",
            {"logGroupName": "g", "tags": {}},
            "tags: 0 entries, and the least is 1",
        ),
        (
            "kms",
            "EnableKeyRotation",
            {"KeyId": "k", "RotationPeriodInDays": 2561},
            "RotationPeriodInDays: 2561, and the most is 2560",
        ),
        (
            "acm",
            "RequestCertificate",
            {"DomainName": "a.bc", "SubjectAlternativeNames": ["a.bc"] * 101},
            "SubjectAlternativeNames: 101 entries, and the most is 100",
        ),
    ],
)
def test_strings_numbers_lists_and_maps_have_a_most(
    service: str, name: str, request_: dict[str, Any], said: str
) -> None:
    assert problems(operation(service, name), request_) == [said]


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, None),
        ({"Description": "the team's group"}, "Description"),
        ({"Description": "d" * 256}, "Description"),
        ({"GroupName": "sg-mine"}, "GroupName"),
    ],
)
def test_what_only_the_reference_of_ec2_says(changes: dict[str, str], wrong: str | None) -> None:
    request = {"GroupName": "nodes", "Description": "Nodes, and what they may."} | changes
    found = problems(operation("ec2", "CreateSecurityGroup"), request)
    assert [one.split(":")[0] for one in found] == ([wrong] if wrong else [])


def test_tags_of_ec2_may_not_begin_like_those_of_aws() -> None:
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "aws:mine", "Value": "v"}]}]
    found = problems(operation("ec2", "CreateVpc"), {"TagSpecifications": tags})
    assert [one.split(":")[0] for one in found] == ["TagSpecifications[0].Tags[0].Key"]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+", "Größe 1.2=a@b\u00a0c", "a#b"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\n\U0001f600", "\x01"),
        (r"[\w-_]*", "a-b_c", "a b"),
        (r"\p{ASCII}+", "plain", "é"),
    ],
)
def test_patterns_of_java(pattern: str, good: str, bad: str) -> None:
    assert compiled(pattern).fullmatch(good)
    assert not compiled(pattern).fullmatch(bad)


def test_a_pattern_that_python_does_not_know_fails() -> None:
    with pytest.raises(UntranslatableError):
        compiled(r"\p{IsGreek}+")


@pytest.mark.parametrize("service", sorted(adapters.services()))
def test_every_pattern_of_the_services_compiles(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    patterns = {
        model.shape_for(name).metadata["pattern"]
        for name in model.shape_names
        if "pattern" in model.shape_for(name).metadata
    }
    for pattern in patterns:
        compiled(pattern)
