"""Continuous backups in a bucket of S3 without a key: what the pods of a datastore may do."""

import json
from datetime import date
from typing import Any

import pytest

from strata.components import Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis import REDIS
from strata.policies.crossguard.judge import Resource
from strata.policies.rules.aws import PACK
from strata.stack import Stack
from tests.components.eks.test_agents import objects
from tests.components.eks.test_buckets import of
from tests.planned import Planned, Program, plan

BUCKET = "arn:aws:s3:::example-backups"
RANGE = "192.0.2.0/24"
ENGINES = {"postgres": POSTGRES, "redis": REDIS}
FOLDERS = {
    "postgres": ("archive/postgres", "backup/postgres"),
    "redis": ("restic/redis",),
}


def compose(stack: Stack) -> None:
    for name, engine in ENGINES.items():
        Datastore(name, DatastoreArgs(stack=stack, engine=engine))


def planned(bucket: dict[str, Any] | None = None, **more: Any) -> Program:
    s3 = {"bucket": "example-backups", "region": "us-east-1", "ranges": [RANGE], **(bucket or {})}
    digests = {f"{name}-backup": f"sha256:{'7' * 64}" for name in ENGINES}
    changes: dict[str, Any] = {
        "aws": {"account": "111122223333"},
        "gpu": {"mode": "off"},
        "services": {name: {"backup": {"s3": s3}} for name in ENGINES},
        "imageDigests": digests,
    }
    return plan({**changes, **more}, describe=compose)


@pytest.fixture(scope="module")
def program() -> Program:
    return planned()


def statements(program: Program, name: str) -> list[dict[str, Any]]:
    policy = of(program, "RolePolicy", f"eks-role-{name}-permissions").inputs["policy"]
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def stateful_set(program: Program, name: str) -> Planned:
    (found,) = [one for one in program.of(":StatefulSet") if one.name == name]
    return found


@pytest.mark.parametrize("name", ENGINES)
def test_it_reads_and_writes_its_own_folders_of_the_bucket(program: Program, name: str) -> None:
    listing, objects = statements(program, name)
    assert listing == {
        "Effect": "Allow",
        "Action": ["s3:ListBucket"],
        "Resource": [BUCKET],
        "Condition": {"StringLike": {"s3:prefix": "prod/*"}},
    }
    assert objects == {
        "Effect": "Allow",
        "Action": [
            "s3:AbortMultipartUpload",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
        ],
        "Resource": [f"{BUCKET}/prod/{folder}/*" for folder in FOLDERS[name]],
    }


def test_the_aws_pack_accepts_the_roles(program: Program) -> None:
    resources = [
        Resource(type=one.type, name=one.name, urn=one.urn, properties=one.inputs)
        for one in program.resources
        if one.name.startswith("eks-role-")
    ]
    found = [
        finding
        for rule in PACK.rules
        for each in resources
        if rule.accepts is not None and rule.accepts(each.type)
        for finding in rule.judge(each, rule.configured(), date(2026, 6, 30))
    ]
    assert found == []


def test_the_prefix_of_the_settings_takes_the_place_of_the_stacks_name() -> None:
    listing, objects = statements(planned({"prefix": "team/a"}), "redis")
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "team/a/*"}}
    assert objects["Resource"] == [f"{BUCKET}/team/a/restic/redis/*"]


@pytest.mark.parametrize("name", ENGINES)
def test_its_pods_start_with_the_role_and_reach_its_credentials(
    program: Program, name: str
) -> None:
    association = of(program, "PodIdentityAssociation", f"eks-role-{name}")
    assert association.inputs["serviceAccount"] == name
    pods = stateful_set(program, name)
    assert pods.inputs["spec"]["template"]["spec"]["serviceAccountName"] == name
    assert association.urn in pods.dependencies
    outside = {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in objects(program, "NetworkPolicy", "strata-prod")[name]["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
        for port in rule["ports"]
    }
    assert outside == {(RANGE, 443), ("169.254.170.23/32", 80)}


def test_there_is_no_key(program: Program) -> None:
    written = json.dumps(list(objects(program, "Secret", "strata-prod").values()))
    assert "repo1-s3-bucket=example-backups" in written
    assert "repo1-s3-key" not in written
    (container,) = stateful_set(program, "redis").inputs["spec"]["template"]["spec"]["containers"]
    assert "AWS_SHARED_CREDENTIALS_FILE" not in {one["name"] for one in container["env"]}


def test_with_a_key_there_is_no_role() -> None:
    keys = {"accessKey": "id", "secretKey": "key"}
    program = planned(keys, secrets={"id": "AKIAIDENTIFIER", "key": "the-key"})
    roles = {one.name for one in program.of(":PodIdentityAssociation")}
    assert not roles & {f"eks-role-{name}" for name in ENGINES}
