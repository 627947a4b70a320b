"""The control plane."""

import json
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest

from strata.config.aws import AwsSettings
from strata.platforms.eks.aws.control_plane import ControlPlane, ControlPlaneArgs
from tests.components.eks.examples import LOCATION, ancestors, make, only
from tests.planned import Program

ADMINISTRATOR = "arn:aws:iam::111122223333:role/administrator"
ARGS: dict[str, Any] = {
    "location": LOCATION,
    "vpc_id": "vpc-1",
    "subnet_ids": ("subnet-a", "subnet-b"),
    "secrets_key_arn": "arn:aws:kms:us-east-1:111122223333:key/secrets",
    "log_key_arn": "arn:aws:kms:us-east-1:111122223333:key/logs",
}
SETTINGS: dict[str, Any] = {
    "kubernetes_version": "1.35",
    "range": IPv4Network("10.64.0.0/16"),
    "service_range": IPv4Network("172.20.0.0/16"),
    "public_access_ranges": (),
    "administrators": (ADMINISTRATOR,),
    "log_retention_days": 90,
}


def _cluster(**changes: Any) -> tuple[Program, dict[str, Any]]:
    known: dict[str, Any] = {}

    def part(opts: pulumi.ResourceOptions) -> None:
        aws = AwsSettings().model_copy(update={**SETTINGS, **changes})
        cluster = ControlPlane("cluster", ControlPlaneArgs(**ARGS, aws=aws), opts)
        pulumi.Output.all(
            kubeconfig=cluster.kubeconfig, security_group_id=cluster.security_group_id
        ).apply(known.update)

    return make(part), known


@pytest.fixture(scope="module")
def cluster() -> tuple[Program, dict[str, Any]]:
    return _cluster()


def _inputs(cluster: tuple[Program, dict[str, Any]]) -> dict[str, Any]:
    return only(cluster[0], "eks/cluster:Cluster").inputs


def test_the_api_answers_inside_the_vpc_alone(cluster: tuple[Program, dict[str, Any]]) -> None:
    config = _inputs(cluster)["vpcConfig"]
    assert config["endpointPrivateAccess"] is True
    assert config["endpointPublicAccess"] is False
    assert "publicAccessCidrs" not in config
    rule = only(cluster[0], ":SecurityGroupIngressRule").inputs
    assert config["securityGroupIds"] == [rule["securityGroupId"]]
    assert (rule["cidrIpv4"], rule["fromPort"], rule["toPort"]) == ("10.64.0.0/16", 443, 443)


def test_it_answers_those_who_are_named_as_well() -> None:
    config = _inputs(_cluster(public_access_ranges=(IPv4Network("203.0.113.0/24"),)))["vpcConfig"]
    assert config["endpointPrivateAccess"] is True
    assert config["endpointPublicAccess"] is True
    assert config["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_secrets_are_encrypted_with_a_key_of_ours(cluster: tuple[Program, dict[str, Any]]) -> None:
    assert _inputs(cluster)["encryptionConfig"] == {
        "provider": {"keyArn": ARGS["secrets_key_arn"]},
        "resources": ["secrets"],
    }


def test_all_logs_go_to_a_group_that_is_there_before(
    cluster: tuple[Program, dict[str, Any]],
) -> None:
    program, _ = cluster
    made = only(program, "eks/cluster:Cluster")
    assert len(made.inputs["enabledClusterLogTypes"]) == 5
    group = only(program, ":LogGroup")
    assert group.inputs["name"] == f"/aws/eks/{made.inputs['name']}/cluster"
    assert group.inputs["retentionInDays"] == 90
    assert group.inputs["kmsKeyId"] == ARGS["log_key_arn"]
    assert group.urn in made.dependencies


def test_the_role_can_do_its_work_before_the_cluster_is_made(
    cluster: tuple[Program, dict[str, Any]],
) -> None:
    program, _ = cluster
    attachment = only(program, ":RolePolicyAttachment")
    assert attachment.urn in only(program, "eks/cluster:Cluster").dependencies
    trust = json.loads(only(program, "iam/role:Role").inputs["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "eks.amazonaws.com"}
    assert trust["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "111122223333"},
        "ArnEquals": {"aws:SourceArn": LOCATION.cluster_arn},
    }


def test_access_entries_alone_decide_who_gets_in(cluster: tuple[Program, dict[str, Any]]) -> None:
    program, _ = cluster
    assert _inputs(cluster)["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": True,
    }
    assert only(program, ":AccessEntry").inputs["principalArn"] == ADMINISTRATOR
    association = only(program, ":AccessPolicyAssociation").inputs
    assert association["principalArn"] == ADMINISTRATOR
    assert association["policyArn"].endswith("/AmazonEKSClusterAdminPolicy")
    assert association["accessScope"] == {"type": "cluster"}


def test_without_administrators_the_cluster_itself_stays_the_same(
    cluster: tuple[Program, dict[str, Any]],
) -> None:
    # Whether its maker gets in is decided once, when it is made: a change would replace it.
    without = _cluster(administrators=())
    assert _inputs(without) == _inputs(cluster)
    assert not without[0].of(":AccessEntry")


def test_it_has_no_extended_support_and_no_add_ons_unasked(
    cluster: tuple[Program, dict[str, Any]],
) -> None:
    inputs = _inputs(cluster)
    assert inputs["version"] == "1.35"
    assert inputs["upgradePolicy"] == {"supportType": "STANDARD"}
    assert inputs["bootstrapSelfManagedAddons"] is False
    assert inputs["kubernetesNetworkConfig"] == {
        "ipFamily": "ipv4",
        "serviceIpv4Cidr": "172.20.0.0/16",
    }


def test_it_is_protected_in_the_state_and_at_aws(cluster: tuple[Program, dict[str, Any]]) -> None:
    made = only(cluster[0], "eks/cluster:Cluster")
    assert made.protect
    assert made.inputs["deletionProtection"] is True


def test_the_kubeconfig_has_no_credentials_but_asks_for_them(
    cluster: tuple[Program, dict[str, Any]],
) -> None:
    config = json.loads(cluster[1]["kubeconfig"])
    (entry,), (user,) = config["clusters"], config["users"]
    assert entry["cluster"]["server"].startswith("https://")
    assert entry["cluster"]["certificate-authority-data"] == "Q0VSVElGSUNBVEU="
    assert set(user["user"]) == {"exec"}
    command = [user["user"]["exec"]["command"], *user["user"]["exec"]["args"]]
    assert command == [
        *("aws", "--region", "us-east-1", "eks", "get-token"),
        *("--cluster-name", "strata-prod", "--output", "json"),
    ]
    assert config["current-context"] == config["contexts"][0]["name"]


def test_nodes_get_the_security_group_that_eks_made(
    cluster: tuple[Program, dict[str, Any]],
) -> None:
    assert cluster[1]["security_group_id"] == "sg-cluster"


def test_everything_belongs_to_the_component(cluster: tuple[Program, dict[str, Any]]) -> None:
    for one in cluster[0].resources:
        if one.custom:
            assert "strata:eks:ControlPlane" in ancestors(cluster[0], one)
