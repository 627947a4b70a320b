"""Writes Python expressions in the layout of ruff's formatter."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

WIDTH = 100
INDENT = "    "


@dataclass(frozen=True)
class Name:
    """Code without quotes, such as the name of a variable."""

    code: str


@dataclass(frozen=True)
class Call:
    """A call: its positional and its keyword arguments."""

    function: str
    positional: tuple[object, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict)


def expression(value: object, indent: int = 0, before: int = 0, after: int = 1) -> str:
    """The code of a value. `indent`: the level of its line; `before` and `after`: the characters
    that are on its line anyway. What doesn't fit is broken into one line for each part."""
    flat = _flat(value)
    if len(INDENT) * indent + before + len(flat) + after <= WIDTH:
        return flat
    opening, items, closing = _parts(value)
    if not items:
        return flat
    lines = []
    for prefix, item in items:
        code = expression(item, indent + 1, len(prefix))
        lines.append(f"{INDENT * (indent + 1)}{prefix}{code},\n")
    return f"{opening}\n{''.join(lines)}{INDENT * indent}{closing}"


def _flat(value: object) -> str:
    if isinstance(value, Name):
        return value.code
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    opening, items, closing = _parts(value)
    if not opening:
        return repr(value)
    comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
    return opening + ", ".join(prefix + _flat(item) for prefix, item in items) + comma + closing


def _parts(value: object) -> tuple[str, list[tuple[str, object]], str]:
    """The opening, the items with what precedes each, and the closing; empty for a scalar."""
    if isinstance(value, Call):
        positional: list[tuple[str, object]] = [("", item) for item in value.positional]
        named = [(f"{name}=", item) for name, item in value.arguments.items()]
        return f"{value.function}(", positional + named, ")"
    if isinstance(value, Mapping):
        return "{", [(f"{_flat(key)}: ", item) for key, item in value.items()], "}"
    if isinstance(value, tuple):
        return "(", [("", item) for item in value], ")"
    return "", [], ""
