"""What the AWS rules share: types, address ranges, policy documents, and what belongs to what."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.rule import Resource, Stack
from strata.policies.crossguard.values import dig, is_unknown, items, text

CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
BUCKETS = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")
DATABASES = ("aws:rds/instance:Instance", "aws:rds/cluster:Cluster")
FILE_SYSTEM = "aws:efs/fileSystem:FileSystem"
VOLUME = "aws:ebs/volume:Volume"
KEY = "aws:kms/key:Key"

# No single owner has a range this wide: half the world (a /1) is the world as well.
WIDEST_PREFIX = {4: 8, 6: 16}


def is_world(address: str) -> bool:
    """Whether a range is the world, or a part of it too wide to be anybody's. Nonsense counts."""
    try:
        network = ipaddress.ip_network(address.strip(), strict=False)
    except ValueError:
        return True
    return network.prefixlen < WIDEST_PREFIX[network.version]


def is_within(address: str, allowed: list[str]) -> bool:
    """Whether a range lies in one of the allowed ranges."""
    try:
        inner = ipaddress.ip_network(address.strip(), strict=False)
        outers = [ipaddress.ip_network(one, strict=False) for one in allowed]
    except ValueError:
        return False
    return any(
        int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
        for outer in outers
        if inner.version == outer.version
    )


def statements(document: Any) -> Iterator[dict[str, Any]]:
    """The statements of a policy document, given as JSON text or as an object."""
    body = document if isinstance(document, dict) else json.loads(text(document) or "{}")
    for statement in items(body.get("Statement")):
        if isinstance(statement, dict):
            yield statement


def allows(statement: dict[str, Any]) -> bool:
    """Whether a statement allows something."""
    return text(statement.get("Effect")) == "Allow"


def principals(statement: dict[str, Any], kind: str) -> list[str]:
    """The principals of a kind; a bare ``*`` is of every kind."""
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        return [text(one) for one in items(principal.get(kind))]
    return [text(one) for one in items(principal)]


def open_to_all(statement: dict[str, Any]) -> bool:
    """Whether a statement allows everybody, with no condition."""
    return (
        allows(statement) and "*" in principals(statement, "AWS") and not statement.get("Condition")
    )


def belonging(stack: Stack, owner: Resource, kinds: tuple[str, ...], link: str) -> list[Resource]:
    """The resources of these kinds whose property ``link`` names the owner or was made of it."""
    names = [
        value
        for key in ("id", "bucket", "name")
        if not is_unknown(value := owner.get(key)) and value is not None
    ]
    found: list[Resource] = []
    for resource in stack.of(*kinds):
        value = resource.get(link)
        made_of = resource.property_dependencies.get(link, ())
        named = not is_unknown(value) and value is not None and value in names
        if owner.urn in made_of or named:
            found.append(resource)
    return found


def tag(resource: Resource, name: str) -> str:
    """A tag's value; empty where it is absent."""
    return text(dig(resource.get("tags"), name))
