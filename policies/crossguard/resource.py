"""Resources and stacks as rules see them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from strata.policies.crossguard.values import dig, is_unknown, text


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `type` is the Pulumi type token.

    Only stack rules get the last two fields. `property_dependencies` maps a property to the URNs of
    the resources whose outputs it uses: it identifies a resource whose name is still unknown.
    """

    type: str
    name: str
    urn: str
    properties: dict[str, Any]
    protect: bool = False
    property_dependencies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()

    def get(self, *keys: str) -> Any:
        """The value at this path of property names; None if absent."""
        return dig(self.properties, *keys)

    @property
    def has_known_name(self) -> bool:
        """Whether the property `name` is set and known."""
        return not (self.get("name") is None or is_unknown(self.get("name")))


class Stack:
    """All resources of a stack, indexed once for all stack rules."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources
        self.by_urn = {resource.urn: resource for resource in resources}
        self._by_type: dict[str, list[Resource]] = {}
        self._named: dict[str, dict[str, Resource]] = {}
        for resource in resources:
            self._by_type.setdefault(resource.type, []).append(resource)

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types."""
        return [resource for kind in types for resource in self._by_type.get(kind, ())]

    def matching(self, accepts: Callable[[str], bool]) -> list[Resource]:
        """The resources whose type is accepted. Calls `accepts` once per type."""
        return self.of(*(kind for kind in self._by_type if accepts(kind)))

    def dependencies_of(self, resource: Resource, name: str, *types: str) -> list[Resource]:
        """The resources of these types whose outputs a property uses."""
        urns = resource.property_dependencies.get(name, ())
        used = [self.by_urn[urn] for urn in urns if urn in self.by_urn]
        return [other for other in used if other.type in types]

    def named(self, kind: str, name: str) -> Resource | None:
        """The resource of this type whose property `name` is known to have this value."""
        if kind not in self._named:
            named = (resource for resource in self.of(kind) if resource.has_known_name)
            self._named[kind] = {text(resource.get("name")): resource for resource in named}
        return self._named[kind].get(name)
