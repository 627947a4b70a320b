"""Checks a request against botocore's model of its service, down to what botocore itself lets pass.

botocore checks the names and types of members, which must be there, and the least lengths and
numbers. Its models also have enums, patterns, and the largest lengths and numbers, which only the
service checks. `problems` checks both, at every depth.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

# Models were written for Java's regular expressions. These are the parts of them that Python writes
# in another way. \p{L} becomes \w, which also has digits and `_`: every class of the models that has
# letters has these as well.
_OF_JAVA = (
    (r"\p{L}", r"\w"),
    (r"\p{M}", r"\u0300-\u036f"),
    (r"\p{N}", r"\d"),
    (r"\p{Zs}", r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"),
    (r"\p{Z}", r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\p{XDigit}", r"[0-9a-fA-F]"),
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010ffff"),
    (r"[\w-_]", r"[\w\-_]"),
)

# What EC2's model does not say of a string that its API reference restricts: the text of
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html and
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html (Description), and of
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Tag.html (Key, Value).
_EC2_TEXT = r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}"
BESIDE_THE_MODEL: Mapping[tuple[str, str, str], str] = {
    ("ec2", "CreateSecurityGroupRequest", "Description"): _EC2_TEXT,
    ("ec2", "CreateSecurityGroupRequest", "GroupName"): r"(?!sg-)" + _EC2_TEXT,
    ("ec2", "IpRange", "Description"): _EC2_TEXT,
    ("ec2", "Ipv6Range", "Description"): _EC2_TEXT,
    ("ec2", "PrefixListId", "Description"): _EC2_TEXT,
    ("ec2", "UserIdGroupPair", "Description"): _EC2_TEXT,
    ("ec2", "Tag", "Key"): r"(?!aws:)[\s\S]{1,127}",
    ("ec2", "Tag", "Value"): r"[\s\S]{0,256}",
    # 3 to 128 of these: the text of CreateLaunchTemplate's LaunchTemplateName, which has its pattern.
    ("ec2", "CreateLaunchTemplateRequest", "LaunchTemplateName"): r"[a-zA-Z0-9().\-/_]{3,128}",
}


class UntranslatableError(Exception):
    """A pattern that Python cannot compile, and for which `_OF_JAVA` has no translation."""


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """A model's pattern as Python understands it. Raises UntranslatableError."""
    written = pattern
    for java, python in _OF_JAVA:
        written = written.replace(java, python)
    try:
        return re.compile(written)
    except re.error as error:
        raise UntranslatableError(f"{pattern!r}: {error}") from error


def problems(operation: OperationModel, parameters: Mapping[str, Any]) -> list[str]:
    """What the service would refuse of a request, each with where it stands; none if all is well."""
    shape = operation.input_shape
    if shape is None:
        return [f"{name}: {operation.name} takes nothing" for name in parameters]
    # Its texts begin with the place, or name the member.
    by_botocore = ParamValidator().validate(dict(parameters), shape)
    said = by_botocore.generate_report().splitlines() if by_botocore.has_errors() else []
    service = operation.service_model.service_name
    return said + list(_beyond(service, shape, parameters, ""))


def _beyond(service: str, shape: Shape, value: Any, place: str) -> Iterator[str]:
    """What botocore does not look at. Values of another type than the model's are botocore's."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name, member in shape.members.items():
            if name in value:
                inside = f"{place}.{name}".lstrip(".")
                yield from _beyond(service, member, value[name], inside)
                beside = BESIDE_THE_MODEL.get((service, shape.name, name))
                if beside is not None:
                    yield from _pattern(beside, value[name], inside)
    elif isinstance(shape, ListShape) and isinstance(value, list | tuple):
        yield from _most(shape, len(value), "entries", place)
        for index, one in enumerate(value):
            yield from _beyond(service, shape.member, one, f"{place}[{index}]")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _most(shape, len(value), "entries", place)
        if len(value) < shape.metadata.get("min", 0):  # botocore looks at that of other types only
            yield f"{place}: {len(value)} entries, and the least is {shape.metadata['min']}"
        for key, one in value.items():
            yield from _beyond(service, shape.key, key, f"{place} (key {key!r})")
            yield from _beyond(service, shape.value, one, f"{place}[{key!r}]")
    elif isinstance(shape, StringShape) and isinstance(value, str):
        if shape.enum and value not in shape.enum:
            yield f"{place}: {value!r} is none of {', '.join(shape.enum)}"
        yield from _most(shape, len(value), "characters", place)
        if "pattern" in shape.metadata:
            yield from _pattern(shape.metadata["pattern"], value, place)
    elif shape.type_name in ("integer", "long", "float", "double") and isinstance(
        value, int | float
    ):
        yield from _most(shape, value, "", place)


def _most(shape: Shape, size: float, of_what: str, place: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and size > most:
        yield f"{place}: {f'{size:g} {of_what}'.rstrip()}, and the most is {most}"


def _pattern(pattern: str, value: Any, place: str) -> Iterator[str]:
    # Services match the whole of a value, with or without anchors in the pattern.
    if isinstance(value, str) and not compiled(pattern).fullmatch(value):
        yield f"{place}: {value!r} does not match {pattern}"
