"""Text that Kubernetes would read as its own."""

import re

_REFERENCE = re.compile(r"\$(?=[$(])")


def escape(text: str) -> str:
    """The text such that a container gets it as it is written here.

    In arguments, environment values and commands of probes, Kubernetes takes `$(NAME)` for a variable
    and `$$` for one `$` (k8s.io/kubernetes, third_party/forked/golang/expansion); a shell means its
    own by both.
    """
    return _REFERENCE.sub("$$", text)
