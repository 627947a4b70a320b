"""JSON that AWS reads: policy documents of roles, keys and buckets."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

Conditions = Mapping[str, Mapping[str, str]]
"""By operator, such as `StringEquals`, the values of condition keys."""

NO_CONDITIONS: Conditions = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy. `principal`: in policies of roles, keys and buckets. `resources`:
    None in a role's trust policy."""

    actions: str | tuple[str, ...]
    resources: str | tuple[str, ...] | None = "*"
    principal: str | Mapping[str, str] | None = None
    conditions: Conditions = field(default_factory=lambda: NO_CONDITIONS)
    effect: str = "Allow"
    sid: str | None = None

    def json(self) -> Mapping[str, Json]:
        conditions = {operator: dict(values) for operator, values in self.conditions.items()}
        fields: dict[str, Json] = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Principal": self.principal,
            "Action": self.actions,
            "Resource": self.resources,
            "Condition": conditions or None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def policy_document(statements: Iterable[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [one.json() for one in statements]})
