"""How rules read address ranges, policy documents, tags and related resources."""

import ipaddress
import json
from collections.abc import Iterator
from typing import Any

from strata.policies.crossguard.judge import Resource, Stack
from strata.policies.crossguard.values import dig, is_unknown, items, text
from strata.policies.rules.aws import facts


def is_world(address: str) -> bool:
    """Whether a range is too wide to belong to anybody. An invalid range counts."""
    try:
        network = ipaddress.ip_network(address.strip(), strict=False)
    except ValueError:
        return True
    return network.prefixlen < facts.SHORTEST_PREFIX[network.version]


def is_within(address: str, allowed: list[str]) -> bool:
    """Whether a range is inside one of the allowed ranges."""
    try:
        inner: Any = ipaddress.ip_network(address.strip(), strict=False)
        outers = [ipaddress.ip_network(outer, strict=False) for outer in allowed]
    except ValueError:
        return False
    return any(inner.version == outer.version and inner.subnet_of(outer) for outer in outers)


def statements(document: Any) -> Iterator[dict[str, Any]]:
    """The statements of a policy document, which is JSON or an object."""
    body = document if isinstance(document, dict) else json.loads(text(document) or "{}")
    for statement in items(body.get("Statement")):
        if isinstance(statement, dict):
            yield statement


def allows(statement: dict[str, Any]) -> bool:
    return text(statement.get("Effect")) == "Allow"


def principals(statement: dict[str, Any], kind: str) -> list[str]:
    """The principals of a kind. A plain `*` is of every kind."""
    principal = statement.get("Principal")
    found = principal.get(kind) if isinstance(principal, dict) else principal
    return [text(name) for name in items(found)]


def allows_everybody(statement: dict[str, Any]) -> bool:
    """Whether a statement allows everybody, without a condition."""
    return (
        allows(statement) and "*" in principals(statement, "AWS") and not statement.get("Condition")
    )


def known(resource: Resource, *names: str) -> list[Any]:
    """The values of these properties that are present and known."""
    values = (resource.get(name) for name in names)
    return [value for value in values if not is_unknown(value) and value is not None]


def related(stack: Stack, owner: Resource, link: str, *types: str) -> list[Resource]:
    """The resources of these types whose property `link` refers to the owner."""
    names = known(owner, "id", "bucket", "name")
    return [
        resource
        for resource in stack.of(*types)
        if owner.urn in resource.property_dependencies.get(link, ())
        or any(value in names for value in known(resource, link))
    ]


def tag(resource: Resource, name: str) -> str:
    """A tag's value; empty if absent."""
    return text(dig(resource.get("tags"), name))
