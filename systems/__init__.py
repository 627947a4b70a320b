"""The systems that a stack can be: `strata:system` names one."""

import difflib
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from strata.errors import Problem, raise_problems
from strata.stack import Stack

Compose = Callable[[Stack], None]


def names() -> tuple[str, ...]:
    """All systems: each is a file in this folder."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def find(name: str) -> Compose:
    """The function that composes the system. Raises `InvalidStackError` for an unknown name, and for a
    file without that function."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        fix = f"{hint}the systems are: {', '.join(known)}"
        raise_problems([Problem("strata:system", f"there is no system {name!r}", fix)])
    # Imports only this system.
    module = import_module(f"systems.{name}")
    if not callable(getattr(module, "compose", None)):
        fix = "define it: `def compose(stack: Stack) -> None:` (docs/components/README.md)"
        raise_problems([Problem(f"systems/{name}.py", "has no function `compose`", fix)])
    compose: Compose = module.compose
    return compose
