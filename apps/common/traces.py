"""The trace that a request or message belongs to, by W3C Trace Context.

It's passed on from process to process, and log lines name it. Spans are recorded only if
OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from apps.common.spans import Recorder

HEADER = "traceparent"
# Version 00: trace id, span id of the parent, flags.
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

Kind = Literal["server", "consumer", "client", "producer"]
# A request or message without a trace starts one.
_STARTS = ("server", "consumer")

_current: ContextVar[str] = ContextVar(HEADER, default="")
_recorder: Recorder | None = None


class Span:
    """A part of a trace. This one isn't recorded."""

    def set(self, name: str, value: str | int) -> None:
        """Sets an attribute."""

    def fail(self, reason: str) -> None:
        """Marks the span as failed. Traces of failed spans are kept."""


_NOT_RECORDED = Span()


def record_with(recorder: Recorder | None) -> None:
    """Records the spans of this process from now on."""
    global _recorder
    _recorder = recorder


def configure(service: str) -> None:
    """Records the spans of this process, if OTEL_EXPORTER_OTLP_ENDPOINT says where to send them."""
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        from apps.common import spans

        record_with(spans.exporting(service))


def stop() -> None:
    """Sends the spans that are still waiting."""
    if _recorder:
        _recorder.stop()


def take(traceparent: object) -> None:
    """From here on, this task belongs to the trace of a header; to a new one if there is no valid
    header."""
    if isinstance(traceparent, str) and _FORM.fullmatch(traceparent):
        _current.set(traceparent)
    elif _recorder:
        # The first span gets a new id.
        _current.set("")
    else:
        _current.set(f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01")


def current() -> str:
    """The current trace and span, as in the header; empty outside any trace."""
    return _current.get()


def headers() -> dict[str, str]:
    """The header for a request or message to another service; empty outside any trace."""
    traceparent = _current.get()
    return {HEADER: traceparent} if traceparent else {}


def trace_id() -> str:
    """The id of the current trace, 32 hexadecimal digits; empty outside any trace."""
    return _current.get()[3:35]


@contextmanager
def span(name: str, kind: Kind) -> Iterator[Span]:
    """A span of the current trace. An error that leaves it marks it as failed, by its type alone: the
    message of an error may quote a document."""
    parent = _current.get()
    if _recorder is None or not (parent or kind in _STARTS):
        yield _NOT_RECORDED
        return
    recorded = _recorder.start(name, kind, parent)
    _current.set(recorded.traceparent)
    try:
        yield recorded
    except BaseException as error:
        recorded.fail(type(error).__name__)
        raise
    finally:
        # Whoever logs an error of a request does so after its span.
        _current.set(parent or recorded.traceparent)
        recorded.end()


def record(name: str, parent: str, started_at_ns: int, texts: int) -> None:
    """A span that ends now, of another task's trace. `parent`: what `current` returned there.
    `texts`: how many the model computed at once."""
    if _recorder and parent:
        recorded = _recorder.start(name, None, parent, started_at_ns)
        recorded.set("texts", texts)
        recorded.end()
