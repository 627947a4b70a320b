"""The property values that rules look at, as plain Python with two additions.

A value the engine does not know yet is an ``UnknownValue``: any use of it raises ``Unknown``, so a
rule that forgets about unknowns says "could not be judged" and never passes by mistake. A value the
program marked secret keeps its type but is known as secret: it is judged and not shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

# The engine writes an unknown as one of these strings, by the type the value will have.
UNKNOWN_MARKERS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # string
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark, no secret


class Unknown(Exception):  # noqa: N818 - it reports a state of a value, not an error
    """Raised by any use of a value that is not known yet. Carries where the value is."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not known yet")
        self.path = path


class UnknownValue:
    """Stands for a value that is not known yet. It can only be passed on and be present."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        object.__setattr__(self, "path", path)

    def _raise(self, *_: object) -> NoReturn:
        raise Unknown(object.__getattribute__(self, "path"))

    __bool__ = __str__ = __int__ = __float__ = __len__ = __iter__ = __hash__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __getitem__ = _raise
    __add__ = __radd__ = __format__ = _raise

    def __getattr__(self, name: str) -> NoReturn:
        raise Unknown(object.__getattribute__(self, "path"))

    def __repr__(self) -> str:
        return "<unknown>"


class SecretText(str):
    """A string the program marked secret."""

    __slots__ = ()


class SecretList(list[Any]):
    """A list the program marked secret as a whole."""

    __slots__ = ()


class SecretMap(dict[str, Any]):
    """An object the program marked secret as a whole."""

    __slots__ = ()


def is_unknown(value: object) -> bool:
    """Whether the value itself is not known yet (without raising)."""
    return type(value) is UnknownValue


def holds_unknown(value: object) -> bool:
    """Whether the value, or anything within it, is not known yet."""
    if isinstance(value, dict):
        return any(holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_unknown(item) for item in value)
    return is_unknown(value)


def is_secret(value: object) -> bool:
    """Whether the program marked this value secret."""
    return isinstance(value, SecretText | SecretList | SecretMap)


def from_wire(value: Any, path: str = "") -> Any:
    """Turns JSON-like wire values (with markers for unknown and secret) into what rules look at."""
    if isinstance(value, str):
        return UnknownValue(path) if value in UNKNOWN_MARKERS else value
    if isinstance(value, Mapping):
        if SIGNATURE_KEY in value:
            return _signed(value, path)
        return {key: from_wire(item, join(path, key)) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [from_wire(item, f"{path}[{index}]") for index, item in enumerate(value)]
    return value


def _signed(value: Mapping[str, Any], path: str) -> Any:
    """A signed object is a secret, or an asset or archive, which rules never look into."""
    if value[SIGNATURE_KEY] != SECRET_SIGNATURE:
        return {"asset": True}
    if "value" in value:
        return as_secret(from_wire(value["value"], path))
    # `pulumi policy analyze --file` cannot decrypt what it reads: the value is there, not known.
    return UnknownValue(path)


def as_secret(value: Any) -> Any:
    """Marks a value, and all within it, secret. Numbers have no mark: no message shows them."""
    if isinstance(value, str):
        return SecretText(value)
    if isinstance(value, list):
        return SecretList(as_secret(item) for item in value)
    if isinstance(value, dict):
        return SecretMap((key, as_secret(item)) for key, item in value.items())
    return value


def join(path: str, key: str) -> str:
    """The path of a key within what is at ``path``."""
    return f"{path}.{key}" if path else key


def text(value: Any) -> str:
    """A string; absent is empty. A number is written out, a boolean as ``true`` or ``false``."""
    if is_unknown(value):
        raise Unknown(value.path)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def flag(value: Any) -> bool:
    """A boolean; absent is false, and so is the string ``false``."""
    return text(value).strip().lower() in {"true", "1"}


def number(value: Any) -> float:
    """A number; absent, or text that is not one, is 0."""
    try:
        return float(text(value) or 0)
    except ValueError:
        return 0.0


def items(value: Any) -> list[Any]:
    """A list; absent is empty, and a lone value is a list of one."""
    if is_unknown(value):
        raise Unknown(value.path)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def mapping(value: Any) -> dict[str, Any]:
    """An object; absent, or a value of another kind, is empty."""
    if is_unknown(value):
        raise Unknown(value.path)
    return value if isinstance(value, dict) else {}


def dig(value: Any, *keys: str) -> Any:
    """What lies at the end of these keys: None if absent, unknown if anything before it is."""
    for key in keys:
        if is_unknown(value):
            return value
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def known_items(value: Any) -> Iterator[Any]:
    """The items of a list that are known. Use where an unknown item cannot clear the rest."""
    return (item for item in items(value) if not is_unknown(item))
