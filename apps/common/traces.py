"""The trace that a request or message belongs to, by W3C Trace Context.

It's passed on from process to process, and log lines name it.
"""

import os
import re
from contextvars import ContextVar

HEADER = "traceparent"
# Version 00: trace id, span id of the parent, flags.
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_current: ContextVar[str] = ContextVar(HEADER, default="")


def take(traceparent: object) -> None:
    """From here on, this task belongs to the trace of a header; to a new one if there is no valid
    header."""
    valid = isinstance(traceparent, str) and _FORM.fullmatch(traceparent)
    _current.set(
        str(traceparent) if valid else f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    )


def headers() -> dict[str, str]:
    """The header for a request or message to another service; empty outside any trace."""
    current = _current.get()
    return {HEADER: current} if current else {}


def trace_id() -> str:
    """The id of the current trace, 32 hexadecimal digits; empty outside any trace."""
    return _current.get()[3:35]
