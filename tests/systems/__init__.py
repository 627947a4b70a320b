"""Systems for tests: a test project has this folder in place of systems/."""

from collections.abc import Callable
from importlib import import_module

from strata.stack import Stack

Compose = Callable[[Stack], None]


def find(name: str) -> Compose:
    """The function of a file: `pair` is `compose` of pair.py, `ailing.never` is `never` of ailing.py."""
    file, _, function = name.partition(".")
    compose: Compose = getattr(import_module(f"systems.{file}"), function or "compose")
    return compose
