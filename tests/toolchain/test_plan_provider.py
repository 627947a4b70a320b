"""What the plan-only provider adds to what a program states."""

from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2

from toolchain.registries.plan_provider import provider


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("aws:ec2/vpc:Vpc", True),
        ("aws:ec2/launchTemplate:LaunchTemplate", True),
        ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", True),
        ("aws:iam/rolePolicyAttachment:RolePolicyAttachment", False),
        ("aws:ec2/route:Route", False),
        ("aws:nothing/such:Such", False),
        ("pulumi:providers:aws", False),
        ("kubernetes:core/v1:ConfigMap", False),
    ],
)
def test_what_has_tags_is_known_by_the_sdk(kind: str, expected: bool) -> None:
    assert provider.takes_tags(kind) is expected


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({"defaultTags": '{"tags":{"a":"1"}}'}, {"a": "1"}),
        ({"defaultTags": {"tags": {"a": "1"}}}, {"a": "1"}),
        ({"defaultTags": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}, {}),
        ({"region": "eu-central-1"}, {}),
    ],
)
def test_default_tags_come_as_text(configuration: dict[str, Any], expected: dict[str, str]) -> None:
    assert provider.default_tags(configuration) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, {"tags": {"a": "1", "b": "2"}}),
        ({"tags": None}, {"tags": {"a": "1", "b": "2"}}),
        ({"tags": {"b": "own", "c": "3"}}, {"tags": {"a": "1", "b": "own", "c": "3"}}),
        ({"tags": "unknown"}, {"tags": "unknown"}),
    ],
)
def test_tags_of_a_resource_win_over_those_for_all(
    own: dict[str, Any], expected: dict[str, Any]
) -> None:
    inputs = struct(own)
    provider.add_tags(inputs, {"a": "1", "b": "2"})
    assert json_format.MessageToDict(inputs) == expected


def test_the_type_is_the_last_of_a_urn() -> None:
    urn = "urn:pulumi:prod::strata::strata:eks:Network$aws:ec2/vpc:Vpc::network-vpc"
    assert provider.type_of(urn) == "aws:ec2/vpc:Vpc"
