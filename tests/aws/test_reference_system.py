"""The reference system on AWS: all that the program makes of it is made, and taken away."""

import json
from collections import Counter
from typing import Any

import pytest
import yaml

from strata.model import AwsPermission
from tests.aws.account import Account
from tests.aws.carry_out import CarryOut
from tests.aws.conftest import Told
from tests.aws.order import unsaid
from tests.components.eks.test_managed_search import compose as search
from tests.components.kubernetes.agents import describe
from tests.planned import Program, plan, settings
from tests.unit.examples import service

# One group of each way to buy, with different GPUs, a fallback list, EFA, and both images.
GPU_NODES: list[dict[str, Any]] = [
    {
        "name": "inference",
        "instanceTypes": ["g6.xlarge", "g5.xlarge", "g6.2xlarge"],
        "capacity": "spot",
        "sharing": "time-slicing",
        "timeSlices": 4,
        "maximum": 4,
    },
    {
        "name": "training",
        "instanceTypes": ["p5.48xlarge"],
        "capacity": "capacity-block",
        "reservationId": "cr-0123456789abcdef0",
        "zone": "a",
        "efa": True,
        "maximum": 2,
    },
    {
        "name": "reserved",
        "instanceTypes": ["g6e.xlarge"],
        "capacity": "reservation",
        "reservationId": "cr-0123456789abcdef1",
        "zone": "b",
        "image": "bottlerocket",
        "maximum": 1,
    },
]
SETTINGS: dict[str, dict[str, Any]] = {
    "as Pulumi.prod.yaml has it": {},
    "GPU groups of every kind, NAT in each zone": {"gpuNodes": GPU_NODES, "nat": "per-zone"},
    "another region, two zones, one NAT gateway, an API and a hosted zone from outside": {
        "nat": "one",
        "region": "eu-central-1",
        "zones": 2,
        "publicAccessRanges": ["203.0.113.0/24"],
        "hostedZoneId": "given",
    },
}
# Beside the datastores that Pulumi.prod.yaml has AWS run.
MANAGED: dict[str, dict[str, Any]] = {
    "another region, two zones, one NAT gateway, an API and a hosted zone from outside": {
        "rabbitmq": {"managed": {}}
    },
}


def aws_settings(aws: Account, changes: dict[str, Any]) -> dict[str, Any]:
    """The settings of AWS, of this account. What they say is there is brought into it."""
    prod = settings().aws
    assert prod is not None
    merged: dict[str, Any] = {
        **json.loads(prod.model_dump_json(by_alias=True, exclude_unset=True)),
        **changes,
        "account": aws.number,
    }
    region = merged["region"]
    for arn in merged["administrators"]:
        aws.client("iam", region).create_role(
            RoleName=arn.split("/")[-1],
            AssumeRolePolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"AWS": f"arn:aws:iam::{aws.number}:root"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
        )
    if merged.get("hostedZoneId") == "given":
        made = aws.client("route53", region).create_hosted_zone(
            Name="strata.example.com", CallerReference="given"
        )
        merged["hostedZoneId"] = made["HostedZone"]["Id"].split("/")[-1]
    for group in merged.get("gpuNodes", []):
        if "reservationId" in group:
            aws.references.given(group["reservationId"])
    return merged


def _carried_out(chosen: dict[str, Any], managed: dict[str, Any], carry_out: CarryOut) -> Program:
    services = json.loads(settings().model_dump_json(by_alias=True, exclude_unset=True))["services"]
    try:
        return plan({"aws": chosen, "services": {**services, **managed}}, make=carry_out.make)
    except Exception:
        # Pulumi's own error tells of all that could not be asked for then, as well.
        if carry_out.failures:
            pytest.fail("\n".join(carry_out.failures), pytrace=False)
        raise


def _reaches_the_cluster(program: Program, aws: Account, region: str) -> None:
    """What Kubernetes objects are made with is made of the cluster that there is."""
    name = program.of("aws:eks/cluster:Cluster")[0].id
    there = aws.itself("eks", region).describe_cluster(name=name)["cluster"]
    config = yaml.safe_load(program.of("pulumi:providers:kubernetes")[0].inputs["kubeconfig"])
    assert config["clusters"][0]["cluster"] == {
        "server": there["endpoint"],
        "certificate-authority-data": there["certificateAuthority"]["data"],
    }
    asked = " ".join(config["users"][0]["user"]["exec"]["args"])
    assert f"eks get-token --cluster-name {name}" in asked
    assert f"--region {region}" in asked


@pytest.mark.parametrize("title", SETTINGS)
def test_all_of_it_is_made_and_nothing_stays(
    title: str, aws: Account, carry_out: CarryOut, told: Told
) -> None:
    chosen = aws_settings(aws, SETTINGS[title])
    before = carry_out.inventory(frozenset({chosen["region"]}))

    program = _carried_out(chosen, MANAGED.get(title, {}), carry_out)

    # All that was asked for was made: moto lists it.
    asked = Counter(one.type for one in program.resources if one.type.startswith("aws:"))
    assert carry_out.counts == asked
    made = carry_out.inventory()
    for type_, count in asked.items():
        if type_ not in CarryOut.NOT_LISTED:
            assert len(made[type_]) - len(before[type_]) >= count, type_

    # In whichever order the engine asks, what a resource needs is there before it.
    assert unsaid(program.resources, aws.references.uses) == []

    _reaches_the_cluster(program, aws, chosen["region"])

    told(title, carry_out)
    carry_out.destroy()
    after = carry_out.inventory()
    assert {type_: after[type_] ^ before[type_] for type_ in after} == dict.fromkeys(
        after, frozenset()
    )


def test_a_bucket_of_a_service_is_made_and_taken_away(aws: Account, carry_out: CarryOut) -> None:
    chosen = aws_settings(aws, {})
    before = carry_out.inventory(frozenset({chosen["region"]}))
    changes = {"aws": chosen, "services": {}, "gpu": {"mode": "off"}}
    permission = AwsPermission(
        actions=("sqs:SendMessage", "sqs:GetQueueUrl"),
        resources=(f"arn:aws:sqs:{chosen['region']}:{aws.number}:orders",),
        conditions={"Bool": {"aws:SecureTransport": "true"}},
    )
    store = service("store", image="redis", bucket=True, aws_permissions=(permission,))
    shop = service("shop", image="redis", aws_permissions=(permission,))
    program = plan(changes, describe=describe(store, shop), make=carry_out.make)
    bucket = (chosen["region"], f"strata-prod-store-{aws.number}")
    assert bucket in carry_out.inventory()["aws:s3/bucket:Bucket"]
    assert unsaid(program.resources, aws.references.uses) == []
    carry_out.destroy()
    assert carry_out.inventory()["aws:s3/bucket:Bucket"] == before["aws:s3/bucket:Bucket"]


def test_a_search_domain_is_made_and_taken_away(aws: Account, carry_out: CarryOut) -> None:
    chosen = aws_settings(aws, {"zones": 2})
    before = carry_out.inventory(frozenset({chosen["region"]}))
    services: dict[str, Any] = {"search": {"managed": {}}}
    changes = {"aws": chosen, "services": services, "gpu": {"mode": "off"}}
    program = plan(changes, describe=search, make=carry_out.make)
    (domain,) = aws.itself("opensearch", chosen["region"]).list_domain_names()["DomainNames"]
    assert domain["DomainName"] == "strata-prod-search"
    assert unsaid(program.resources, aws.references.uses) == []
    carry_out.destroy()
    assert carry_out.inventory() == before
