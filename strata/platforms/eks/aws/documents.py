"""JSON that AWS reads: policy documents of roles, keys and buckets."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

Conditions: TypeAlias = Mapping[str, Mapping[str, str | Sequence[str]]]
"""By operator, such as `StringEquals`, the values of condition keys."""


class Statement(TypedDict, total=False):
    """One statement of a policy, as AWS writes it (IAM user guide, "IAM JSON policy element
    reference")."""

    Sid: str
    Effect: Literal["Allow", "Deny"]
    Principal: str | Mapping[str, str]
    Action: str | Sequence[str]
    Resource: str | Sequence[str]
    Condition: Conditions


def policy_document(*statements: Statement) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
