"""Spans, recorded with OpenTelemetry and sent in the background.

If nothing answers at the endpoint, spans are dropped; no request waits for them.
"""

import threading

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from apps.common import traces

SEND_EVERY_MS = 1000
SEND_WITHIN_S = 2
STOP_WITHIN_S = 1


class RecordedSpan(traces.Span):
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
        )

    def set(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        self._span.set_status(StatusCode.ERROR, reason)

    def end(self) -> None:
        self._span.end()


class Recorder:
    """Records the spans of one service."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        # `Resource.create` would look for detectors in every installed package.
        self._provider = TracerProvider(
            resource=Resource({"service.name": service}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(__name__)

    def start(
        self, name: str, kind: traces.Kind | None, parent: str, started_at_ns: int | None = None
    ) -> RecordedSpan:
        """`parent`: a valid traceparent, or empty for a new trace. `started_at_ns`: since the epoch."""
        context = None
        if parent:
            _, trace_id, span_id, flags = parent.split("-")
            context = trace.set_span_in_context(
                NonRecordingSpan(
                    SpanContext(
                        int(trace_id, 16),
                        int(span_id, 16),
                        is_remote=True,
                        trace_flags=TraceFlags(int(flags, 16)),
                    )
                )
            )
        return RecordedSpan(
            self._tracer.start_span(
                name,
                context,
                SpanKind[kind.upper()] if kind else SpanKind.INTERNAL,
                start_time=started_at_ns,
            )
        )

    def stop(self) -> None:
        """Sends the spans that are still waiting, within `STOP_WITHIN_S`."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(STOP_WITHIN_S)


def exporting(service: str) -> Recorder:
    """Sends spans to OTEL_EXPORTER_OTLP_ENDPOINT."""
    return Recorder(
        service,
        BatchSpanProcessor(
            OTLPSpanExporter(timeout=SEND_WITHIN_S), schedule_delay_millis=SEND_EVERY_MS
        ),
    )
