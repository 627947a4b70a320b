"""How rules read objects: kinds, namespaces, labels and selectors."""

from collections.abc import Callable, Iterator
from typing import Any

from strata.policies.crossguard.judge import Resource, Stack
from strata.policies.crossguard.values import Unknown, dig, is_unknown, items, mapping, text


def kind_of(token: str) -> str:
    """The kind in a type token such as `kubernetes:apps/v1:Deployment`, its list or its patch."""
    platform, _, rest = token.partition(":")
    if platform != "kubernetes":
        return ""
    kind = rest.rpartition(":")[2]
    return kind.removesuffix("Patch").removesuffix("List")


def is_kind(*kinds: str) -> Callable[[str], bool]:
    """Accepts the types of these kinds, in every group and version."""
    wanted = frozenset(kinds)
    return lambda token: kind_of(token) in wanted


def objects(resource: Resource) -> Iterator[tuple[dict[str, Any], str]]:
    """The object of a resource, or the items of a list, each with the prefix of its paths."""
    if resource.type.endswith("List"):
        for index, entry in enumerate(items(resource.get("items"))):
            yield mapping(entry), f"items[{index}]."
    else:
        yield resource.properties, ""


def labels(metadata: Any) -> dict[str, Any]:
    return mapping(dig(metadata, "labels"))


def annotations(metadata: Any) -> dict[str, Any]:
    return mapping(dig(metadata, "annotations"))


def namespace_key(resource: Resource, stack: Stack) -> str:
    """Identifies an object's namespace: its name, or the URN of the Namespace if still unknown."""
    name = resource.get("metadata", "namespace")
    if not is_unknown(name):
        return text(name) or "default"
    for urn in resource.property_dependencies.get("metadata", ()):
        source = stack.by_urn.get(urn)
        if source is not None and kind_of(source.type) == "Namespace":
            return own_key(source)
    raise Unknown(name.path)


def own_key(namespace: Resource) -> str:
    """The namespace_key of the objects in a Namespace."""
    name = namespace.get("metadata", "name")
    return namespace.urn if name is None or is_unknown(name) else text(name)


def matches_labels(selector: Any, candidate: dict[str, Any]) -> bool:
    """Whether a map of labels matches. An empty map matches nothing."""
    wanted = mapping(selector)
    return bool(wanted) and all(text(candidate.get(key)) == text(wanted[key]) for key in wanted)


def matches_selector(selector: Any, candidate: dict[str, Any]) -> bool:
    """Whether a LabelSelector matches. An empty selector matches every pod."""
    body = mapping(selector)
    expressions = items(body.get("matchExpressions"))
    if not all(_matches(expression, candidate) for expression in expressions):
        return False
    wanted = mapping(body.get("matchLabels"))
    return not wanted or matches_labels(wanted, candidate)


def _matches(expression: Any, candidate: dict[str, Any]) -> bool:
    key, operator = text(dig(expression, "key")), text(dig(expression, "operator"))
    values = {text(value) for value in items(dig(expression, "values"))}
    if operator == "In":
        return text(candidate.get(key)) in values
    if operator == "NotIn":
        return text(candidate.get(key)) not in values
    return (key in candidate) == (operator == "Exists")
