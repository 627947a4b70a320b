"""How values are written in Kubernetes objects: quantities, and text that Kubernetes would expand."""

import re

_REFERENCE = re.compile(r"\$(?=[$(])")
_MARK = "\0"
"""Stands for the `$` of a reference that Kubernetes shall expand; no text of a user contains it."""


def reference(variable: str) -> str:
    """What Kubernetes replaces by an environment variable of the container, once `escape` has
    escaped the text around it."""
    return f"{_MARK}({variable})"


def escape(text: str) -> str:
    """The text that a container receives unchanged.

    In arguments, environment values and commands of probes, Kubernetes expands `$(NAME)` to a variable
    and `$$` to `$` (k8s.io/kubernetes, third_party/forked/golang/expansion). Both mean something else
    in a shell.
    """
    return _REFERENCE.sub("$$", text).replace(_MARK, "$")


def cores(amount: float) -> str:
    """Cores in the form in which Kubernetes returns them, so that a refresh shows no change: in
    thousandths unless they are whole. The minimum is a thousandth."""
    thousandths = max(1, round(amount * 1000))
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


def mebibytes(amount: int) -> str:
    """MiB, in the largest binary unit with a whole number (the canonical form of resource.Quantity)."""
    for unit in ("Mi", "Gi"):
        if amount == 0 or amount % 1024:
            return f"{amount}{unit}"
        amount //= 1024
    return f"{amount}Ti"
