"""What the tests of parts on EKS share."""

from collections.abc import Callable
from typing import Any

import pulumi

from strata.platforms.eks.aws.location import AwsLocation
from tests.planned import Planned, Program, record

LOCATION = AwsLocation(account="111122223333", region="us-east-1", cluster="strata-prod")


class _Parent(pulumi.ComponentResource):
    def __init__(self) -> None:
        super().__init__("tests:Parent", "parent")


def make(part: Callable[[pulumi.ResourceOptions], Any], **options: Any) -> Program:
    """What a part of a stack asks for. `part` is given options with a parent."""

    def program() -> dict[str, Any]:
        part(pulumi.ResourceOptions(parent=_Parent()))
        return {}

    return record(program, **options)


def only(program: Program, kind: str) -> Planned:
    """The one resource of a type, by the end of its token."""
    (found,) = program.of(kind)
    return found


def ancestors(program: Program, resource: Planned) -> list[str]:
    """The types of the parents of a resource, the nearest first."""
    by_urn = {one.urn: one for one in program.resources}
    types = []
    while resource.parent in by_urn:
        resource = by_urn[resource.parent]
        types.append(resource.type)
    return types
