"""Escapes text that Kubernetes would expand."""

import re

_REFERENCE = re.compile(r"\$(?=[$(])")


def escape(text: str) -> str:
    """The text that a container receives unchanged.

    In arguments, environment values and commands of probes, Kubernetes expands `$(NAME)` to a variable
    and `$$` to `$` (k8s.io/kubernetes, third_party/forked/golang/expansion). Both mean something else
    in a shell.
    """
    return _REFERENCE.sub("$$", text)
