"""Checks the types of what a program passes to components, since Python doesn't."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from strata.errors import Problem, raise_problems
from strata.model.text import Text

NAMES = {str(Text): "Text"}
"""Types that a message calls by the name of their alias."""
VALUE_LENGTH_MAXIMUM = 40
OWN = ("strata.model", "strata.components")
"""Packages whose dataclasses a program constructs."""


def check_types(path: str, arguments: object) -> None:
    """Raises `InvalidStackError` with every field of a dataclass, and of the dataclasses in it, whose
    value isn't of the field's type. `path`: of the component."""
    raise_problems(_problems(f"{path}: ", arguments))


def _problems(prefix: str, instance: Any) -> Iterator[Problem]:
    for name, adapter in _adapters(type(instance)).items():  # type: ignore[arg-type]
        value = getattr(instance, name)
        try:
            adapter.validate_python(value, strict=True)
        except ValidationError as error:
            expected = _shown(get_type_hints(type(instance))[name])
            yield _problem(f"{prefix}{name}", value, expected, error.errors()[0])
            continue
        for step, each in _children(value):
            if is_dataclass(each) and type(each).__module__.startswith(OWN):
                yield from _problems(f"{prefix}{name}{step}.", each)


@cache
def _adapters(cls: type[Any]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(cls)
    return {field.name: _adapter(hints[field.name]) for field in fields(cls)}


def _adapter(hint: Any) -> TypeAdapter[Any]:
    if is_dataclass(hint):
        # Only whether it is an instance: its own fields are checked one by one.
        return TypeAdapter(hint)
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))


def _children(value: object) -> Iterator[tuple[str, object]]:
    """The values in a field, with their position."""
    if isinstance(value, Mapping):
        yield from ((f".{key}", each) for key, each in value.items())
    elif isinstance(value, tuple):
        yield from ((f"[{index}]", each) for index, each in enumerate(value))
    else:
        yield "", value


def _problem(path: str, value: object, expected: str, detail: ErrorDetails) -> Problem:
    """The problem of a field, at the element that is wrong."""
    for step in detail["loc"]:
        if isinstance(value, Mapping) and step in value:
            path, value = f"{path}.{step}", value[step]
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(step, int):
            path, value = f"{path}[{step}]", value[step]
        else:
            break
    kind = type(value).__name__
    # Texts may be secrets.
    shown = f" {value!r}" if isinstance(value, int | float) else ""
    if isinstance(value, str) and len(value) <= VALUE_LENGTH_MAXIMUM and "content" not in path:
        shown = f" {value!r}"
    fix = f"pass {expected}"
    if hasattr(value, "endpoint"):
        fix = "pass one of its endpoints, for example .endpoint()"
    elif isinstance(value, list):
        fix += ": a tuple, (a, b), instead of a list"
    return Problem(path, f"is of the wrong type: {kind}{shown}", fix)


def _shown(hint: Any) -> str:
    """A type as a person writes it."""
    if isinstance(hint, type) and not hasattr(hint, "__args__"):
        return hint.__name__
    text = str(hint)
    for long, short in NAMES.items():
        text = text.replace(long, short)
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", text)
