"""The last lines of a build's log, for its error message."""

import re
from collections import deque

LINES_KEPT = 20
# Colours and cursor movements of the programs that a build runs.
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Tail:
    """Keeps the last lines of a stream of text."""

    def __init__(self, lines: int = LINES_KEPT) -> None:
        self._lines: deque[str] = deque(maxlen=lines)

    def add(self, text: str) -> None:
        """Adds text of one or more lines; blank ones are dropped."""
        lines = (_CONTROL.sub("", line).rstrip() for line in text.splitlines())
        self._lines.extend(line for line in lines if line)

    def __str__(self) -> str:
        return "\n".join(f"    {line}" for line in self._lines)
