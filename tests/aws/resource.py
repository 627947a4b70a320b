"""One resource that a program asked for, and how its inputs become a request.

The names of pulumi-aws are those of AWS, less case and plural, so `fill` finds most members by
itself; an adapter gives the others. An input that no adapter takes fails the test: what a program
says is never dropped.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from tests.aws.errors import RefusedError

if TYPE_CHECKING:
    from tests.aws.account import Account


def _nothing() -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Made:
    """What became of a resource: its id and outputs as pulumi-aws would give them, and how it is
    deleted (nothing is done where it goes with another)."""

    id: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    delete: Callable[[], Any] = _nothing


class Resource:
    """A resource of `type`, called `name` by the program, in a region of an account."""

    def __init__(
        self,
        *,
        account: "Account",
        type_: str,
        name: str,
        inputs: Mapping[str, Any],
        region: str,
        default_tags: Mapping[str, str],
    ) -> None:
        self.account, self.type, self.name, self.region = account, type_, name, region
        self.inputs = {key: value for key, value in inputs.items() if value is not None}
        self.tags: dict[str, str] = {**default_tags, **self.inputs.get("tags", {})}
        self.left = {key: value for key, value in self.inputs.items() if key != "__defaults"}

    @property
    def urn_end(self) -> str:
        """Its type and name, as its URN ends with them: no other resource has the same."""
        return f"{self.type}::{self.name}"

    def client(self, service: str) -> Any:
        """A client in the resource's region."""
        return self.account.client(service, self.region)

    def take(self, name: str, otherwise: Any = None) -> Any:
        """An input that the adapter deals with itself."""
        return self.left.pop(name, otherwise)

    def physical_name(self, member: str = "name", *, prefix: str = "") -> str:
        """The name that the program gave, or one made from the logical name as Pulumi does."""
        given: str | None = self.take(member)
        if given is not None:
            return given
        digits = hashlib.sha256(f"{self.type} {self.name}".encode()).hexdigest()[:7]
        return f"{prefix}{self.name}-{digits}"

    def ec2_tags(self, kind: str) -> dict[str, Any]:
        """The tags of a resource of EC2, in a request that makes it."""
        self.take("tags")
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return {"TagSpecifications": [{"ResourceType": kind, "Tags": tags}]} if tags else {}

    def fill(
        self, service: str, operation: str, renames: Mapping[str, str] | None = None, **given: Any
    ) -> dict[str, Any]:
        """The members of a request from all inputs that are left, and those that are `given`.

        `renames`: how AWS calls an input, at whatever depth, where it is not the same word."""
        model = self.client(service).meta.service_model.operation_model(operation)
        wire = self.left
        if _member(model.input_shape, "tags", renames or {}) and self.tags:
            wire = {**wire, "tags": self.tags}
        self.left = {}
        return {**self.converted(model.input_shape, wire, renames), **given}

    def converted(
        self, shape: Shape, value: Any, renames: Mapping[str, str] | None = None, place: str = ""
    ) -> Any:
        """An input as the shape of a request has it."""
        if isinstance(shape, StructureShape):
            if isinstance(value, list) and len(value) == 1:
                value = value[0]  # pulumi-aws has lists of one where AWS has one
            if not isinstance(value, Mapping):
                raise RefusedError(f"{self.name}: {place} is no object: {value!r}")
            request = {}
            for key, one in value.items():
                if one is None or key == "__defaults":
                    continue
                inside = f"{place}.{key}".lstrip(".")
                member = _member(shape, key, renames or {})
                if member is None:
                    raise RefusedError(
                        f"{self.name}: the adapter of {self.type} does not know {inside} of {shape.name}"
                    )
                request[member] = self.converted(shape.members[member], one, renames, inside)
            return request
        if isinstance(shape, ListShape):
            of_pairs = isinstance(shape.member, StructureShape) and _pair(shape.member)
            if of_pairs and isinstance(value, Mapping) and not of_pairs <= value.keys():
                key, text = sorted(of_pairs, key=lambda one: one.lower().endswith("value"))
                return [{key: name, text: one} for name, one in value.items()]
            several = value if isinstance(value, list) else [value]
            return [
                self.converted(shape.member, one, renames, f"{place}[{index}]")
                for index, one in enumerate(several)
            ]
        if isinstance(shape, MapShape) and isinstance(value, Mapping):
            return dict(value)
        return _scalar(shape, value)


def _member(shape: Shape | None, key: str, renames: Mapping[str, str]) -> str | None:
    """The member of a structure that an input is."""
    if not isinstance(shape, StructureShape):
        return None
    if key in renames:
        return renames[key] if renames[key] in shape.members else None
    wanted = _singular(key)
    return next((name for name in shape.members if _singular(name) == wanted), None)


def _singular(name: str) -> str:
    lowered = name.lower()
    return lowered.removesuffix("ies") + "y" if lowered.endswith("ies") else lowered.rstrip("s")


def _pair(shape: StructureShape) -> set[str]:
    """The two members of a tag: a key and its value."""
    names = set(shape.members)
    return (
        names if {one.lower().removeprefix("tag") for one in names} == {"key", "value"} else set()
    )


def _scalar(shape: Shape, value: Any) -> Any:
    """As the bridge of pulumi-aws converts: some of its booleans and numbers are strings."""
    if shape.type_name == "boolean" and value in ("true", "false"):
        return value == "true"
    if shape.type_name in ("integer", "long"):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return int(value)
    if shape.type_name == "string" and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else f"{value:g}"
    return value
