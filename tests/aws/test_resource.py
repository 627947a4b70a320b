"""How inputs of pulumi-aws become members of a request."""

from typing import Any

import pytest

from tests.aws.account import Account
from tests.aws.errors import RefusedError
from tests.aws.resource import Resource


def filled(
    aws: Account,
    service: str,
    operation: str,
    inputs: dict[str, Any],
    renames: dict[str, str] | None = None,
) -> dict[str, Any]:
    resource = Resource(
        account=aws,
        type_="aws:some/type:Type",
        name="one",
        inputs=inputs,
        region="us-east-1",
        default_tags={"strata.stack": "test"},
    )
    return resource.fill(service, operation, renames)


def test_names_differ_by_case_and_plural(aws: Account) -> None:
    inputs = {"vpcId": "vpc-1", "subnetIds": ["subnet-1"], "privateDnsEnabled": True}
    assert filled(aws, "ec2", "CreateVpcEndpoint", inputs) == {
        "VpcId": "vpc-1",
        "SubnetIds": ["subnet-1"],
        "PrivateDnsEnabled": True,
    }


def test_an_object_for_a_list_of_one_and_the_other_way(aws: Account) -> None:
    inputs = {
        "encryptionConfig": {"provider": {"keyArn": "k"}, "resources": ["secrets"]},
        "vpcConfig": {"subnetIds": ["subnet-1"]},
    }
    names = {"vpcConfig": "resourcesVpcConfig"}
    assert filled(aws, "eks", "CreateCluster", inputs, names) == {
        "encryptionConfig": [{"provider": {"keyArn": "k"}, "resources": ["secrets"]}],
        "resourcesVpcConfig": {"subnetIds": ["subnet-1"]},
        "tags": {"strata.stack": "test"},
    }
    inputs = {"encryptionConfigurations": [{"encryptionType": "KMS"}]}
    assert filled(aws, "ecr", "CreateRepository", inputs) == {
        "encryptionConfiguration": {"encryptionType": "KMS"},
        "tags": [{"Key": "strata.stack", "Value": "test"}],
    }


def test_tags_in_the_words_of_each_service(aws: Account) -> None:
    inputs = {"tags": {"Name": "mine"}}
    assert filled(aws, "kms", "CreateKey", inputs) == {
        "Tags": [
            {"TagKey": "strata.stack", "TagValue": "test"},
            {"TagKey": "Name", "TagValue": "mine"},
        ]
    }
    assert filled(aws, "logs", "CreateLogGroup", inputs)["tags"] == {
        "strata.stack": "test",
        "Name": "mine",
    }


def test_texts_that_are_numbers_or_truths(aws: Account) -> None:
    inputs = {"maxAggregationInterval": "60", "trafficType": "ALL"}
    assert filled(aws, "ec2", "CreateFlowLogs", inputs)["MaxAggregationInterval"] == 60
    launch = {"launchTemplate": {"id": "lt-1", "version": 3.0}}
    assert filled(aws, "eks", "CreateNodegroup", launch)["launchTemplate"] == {
        "id": "lt-1",
        "version": "3",
    }
    assert filled(aws, "eks", "CreateCluster", {"deletionProtection": "true"})["deletionProtection"]


def test_nothing_is_dropped(aws: Account) -> None:
    for inputs in ({"cidrBlocks": "a", "other": 1}, {"vpcConfig": {"subnetIds": [], "more": 1}}):
        with pytest.raises(RefusedError, match="the adapter of aws:some/type:Type does not know"):
            filled(aws, "eks", "CreateCluster", inputs, {"vpcConfig": "resourcesVpcConfig"})


def test_what_is_not_said_is_left_out(aws: Account) -> None:
    inputs = {"vpcConfig": {"subnetIds": ["subnet-1"], "securityGroupIds": None}, "version": None}
    names = {"vpcConfig": "resourcesVpcConfig"}
    request = filled(aws, "eks", "CreateCluster", inputs, names)
    assert request["resourcesVpcConfig"] == {"subnetIds": ["subnet-1"]}
    assert "version" not in request
