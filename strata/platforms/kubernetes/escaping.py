"""Escapes text that Kubernetes would expand."""

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
