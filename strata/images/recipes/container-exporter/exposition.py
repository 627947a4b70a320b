"""The two halves that the exporters share: Prometheus' text format (version 0.0.4), and an HTTP
server for it.

Imports next to nothing: `http.server` alone would add 7 MiB to a process of 11 MiB.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REQUEST_TIMEOUT_S = 2.0
REQUEST_MAXIMUM_BYTES = 65536
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  (only where a person asks for it)
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


class UnavailableError(Exception):
    """Nothing can be measured; the text is the reason. Answered with status 503."""


def labels(pairs: Mapping[str, str]) -> str:
    """Labels as they stand between the braces of a sample: `name="value",...`."""
    return ",".join(
        '{}="{}"'.format(name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
        for name, value in pairs.items()
    )


def number(value: float) -> str:
    """The shortest text that reads back as `value`: integers without a point."""
    return str(int(value)) if value == int(value) else repr(value)


class Exposition:
    """The samples of one scrape. `families`: the type and the help text of each metric, by name, in
    the order in which they are written. A metric without a sample isn't written."""

    def __init__(self, families: Mapping[str, tuple[str, str]]) -> None:
        self._families = families
        self._samples: dict[str, list[str]] = {name: [] for name in families}

    def add(self, name: str, labelled: str, value: float) -> None:
        """`labelled` is a result of `labels`. Raises KeyError for a metric without a family."""
        braces = f"{{{labelled}}}" if labelled else ""
        self._samples[name].append(f"{name}{braces} {number(value)}\n")

    def text(self) -> str:
        parts: list[str] = []
        for name, samples in self._samples.items():
            if samples:
                kind, help_text = self._families[name]
                parts.append(f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n")
                parts += samples
        return "".join(parts)


def serve(
    program: str, default_port: int, metrics: Callable[[], str], health: Callable[[], object]
) -> None:
    """Answers GET /metrics with the text that `metrics` returns, and GET /health with 200 if `health`
    returns, until SIGTERM. `UnavailableError` of either is answered with 503 and the reason.

    Environment: LISTEN_ADDRESSES, IPv4 addresses, comma-separated (127.0.0.1). LISTEN_PORT
    (`default_port`). Exits with a message if it can't listen.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    addresses = [
        part.strip() for part in os.environ.get("LISTEN_ADDRESSES", "127.0.0.1").split(",")
    ]
    port = int(os.environ.get("LISTEN_PORT", str(default_port)))
    selector = selectors.DefaultSelector()
    for address in [EVERY_ADDRESS] if EVERY_ADDRESS in addresses else addresses:
        try:
            listener = socket.create_server((address, port), backlog=128)
        except OSError as error:
            sys.exit(f"{program}: can't listen on {address}:{port}: {error.strerror}")
        selector.register(listener, selectors.EVENT_READ, listener)
    while True:
        for key, _ in selector.select():
            connection, _ = key.data.accept()
            with connection:
                try:
                    request = _request(connection)
                    if request:
                        connection.sendall(response(request, metrics, health))
                except OSError:
                    pass  # The client is slow or gone.


def _request(connection: socket.socket) -> bytes:
    """The head of a request; empty if the client closes first. Raises OSError if it takes too long
    or too much space."""
    until = time.monotonic() + REQUEST_TIMEOUT_S
    head = b""
    while b"\r\n\r\n" not in head:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        part = connection.recv(4096)
        if not part:
            return b""
        head += part
        if len(head) > REQUEST_MAXIMUM_BYTES:
            raise OSError("the request is too long")
    connection.settimeout(REQUEST_TIMEOUT_S)
    return head


def response(request: bytes, metrics: Callable[[], str], health: Callable[[], object]) -> bytes:
    """The whole response to a request's head. An unexpected error is printed and answered with 500."""
    method, _, rest = request.partition(b"\r\n")[0].partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    status, body = "200 OK", ""
    if path not in (b"/metrics", b"/health"):
        status, body = "404 Not Found", "GET /metrics or /health\n"
    elif method not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", "only GET is answered\n"
    else:
        try:
            if path == b"/metrics":
                body = metrics()
            else:
                health()
                body = "ok\n"
        except UnavailableError as error:
            status, body = "503 Service Unavailable", f"{error}\n"
        except Exception:
            traceback.print_exc()
            status, body = "500 Internal Server Error", "see the log\n"
    content = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {TEXT_FORMAT}\r\nContent-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else content)
