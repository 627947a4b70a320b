"""Property values as rules see them: plain Python, plus unknown values and secrets.

Any use of an unknown value raises `Unknown`, so a rule that ignores unknowns reports "could not be
judged" and never passes by accident. A secret keeps its type; rules judge it, messages don't show it.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

# The engine sends an unknown value as one of these strings, by the type of the value.
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
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, not a secret


class Unknown(Exception):  # noqa: N818 - a state of a value, not an error
    """Raised by any use of an unknown value. `path` is the path of its property."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} is not known yet")
        self.path = path


class UnknownValue:
    """A value that is not known yet. It can only be passed on."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def _raise(self, *_: object) -> NoReturn:
        raise Unknown(self.path)

    __bool__ = __str__ = __int__ = __float__ = __len__ = __iter__ = __hash__ = _raise
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __getitem__ = _raise
    __add__ = __radd__ = __format__ = __getattr__ = _raise

    def __repr__(self) -> str:
        return "<unknown>"


class SecretText(str):
    """A string that the program marked secret."""


class SecretList(list[Any]):
    """A list that the program marked secret as a whole."""


class SecretMap(dict[str, Any]):
    """An object that the program marked secret as a whole."""


def is_unknown(value: object) -> bool:
    """Whether the value is unknown. Never raises."""
    return type(value) is UnknownValue


def holds_unknown(value: object) -> bool:
    """Whether the value, or anything in it, is unknown. Never raises."""
    if isinstance(value, dict):
        return any(holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_unknown(item) for item in value)
    return is_unknown(value)


def is_secret(value: object) -> bool:
    """Whether the program marked this value secret."""
    return isinstance(value, SecretText | SecretList | SecretMap)


def as_secret(value: Any) -> Any:
    """Marks a value and everything in it as secret. Numbers aren't marked: no message shows one."""
    if isinstance(value, str):
        return SecretText(value)
    if isinstance(value, list):
        return SecretList(as_secret(item) for item in value)
    if isinstance(value, dict):
        return SecretMap((key, as_secret(item)) for key, item in value.items())
    return value


def join(path: str, key: str | int | None) -> str:
    """The path of a key or index of the value at `path`; without a key, the path itself."""
    if isinstance(key, str):
        return f"{path}.{key}" if path else key
    return path if key is None else f"{path}[{key}]"


def text(value: Any) -> str:
    """A string; empty if absent. `true` or `false` for a boolean."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def flag(value: Any) -> bool:
    """A boolean; false if absent. Accepts the strings `true` and `1`."""
    return text(value).strip().lower() in {"true", "1"}


def number(value: Any) -> float:
    """A number; 0 if absent or not a number."""
    try:
        return float(text(value) or 0)
    except ValueError:
        return 0.0


def items(value: Any) -> list[Any]:
    """A list; empty if absent. A single value becomes a list of one."""
    if is_unknown(value):
        raise Unknown(value.path)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def numbered(value: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The items of the list at `path`, each with its own path."""
    return ((item, f"{path}[{index}]") for index, item in enumerate(items(value)))


def mapping(value: Any) -> dict[str, Any]:
    """An object; empty if absent or of another type."""
    if is_unknown(value):
        raise Unknown(value.path)
    return value if isinstance(value, dict) else {}


def dig(value: Any, *keys: str) -> Any:
    """The value at this path of keys: None if absent, unknown if an object on the path is."""
    for key in keys:
        if is_unknown(value):
            return value
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def known_items(value: Any) -> Iterator[Any]:
    """The known items of a list. For checks that one known item can decide."""
    return (item for item in items(value) if not is_unknown(item))
