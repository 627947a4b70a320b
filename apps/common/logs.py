"""Logs: one JSON object a line, on the standard output. Secrets and the text of documents are never
put in."""

import json
import logging
import sys
import time
import traceback
from typing import Any

from apps.common import traces
from apps.common.errors import describe

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",
    "taskName",
}


class JsonLines(logging.Formatter):
    """Formats a record as JSON, with the id of the trace that it belongs to. What the caller passes as
    `extra` becomes fields of its own."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
        }
        if trace_id := traces.trace_id():
            fields["trace_id"] = trace_id
        fields.update((key, value) for key, value in vars(record).items() if key not in _STANDARD)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            fields["error"] = describe(error)
            # The frames alone: the message of an error may quote what it was given.
            fields["frames"] = [
                f"{frame.filename}:{frame.lineno} {frame.name}"
                for frame in traceback.extract_tb(error.__traceback__)
            ]
        return json.dumps(fields, default=str)


def configure(service: str) -> None:
    """Sends every log record of this process to the standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # One line for each request or reconnection of a library says nothing that our own lines and
    # metrics do not.
    for noisy in (
        "httpx",
        "httpcore",
        "httpx2",
        "httpcore2",
        "mcp.client",
        "aio_pika",
        "aiormq",
        "opensearch",
        "psycopg.pool",
        "uvicorn.access",
    ):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    # A trace store that is away is reported by its own alerts.
    for noisy in ("opentelemetry", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    for noisy in ("uvicorn.error", "mcp.server.streamable_http"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
