"""The systems that a stack can be: `strata:system` names one."""

import difflib
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from strata.config import Settings
from strata.model import InvalidStackError, Problem
from strata.platforms.platform import Platform

Compose = Callable[[Platform, Settings], None]


def names() -> tuple[str, ...]:
    """Every system there is: a file of this folder each."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def find(name: str) -> Compose:
    """The function that composes the system. Raises `InvalidStackError` for an unknown name."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InvalidStackError(
            [
                Problem(
                    "strata:system",
                    f"there is no system {name!r}",
                    f"{hint}the systems are: {', '.join(known)}",
                )
            ]
        )
    # Only the one that is asked for is loaded.
    compose: Compose = import_module(f"systems.{name}").compose
    return compose
