"""A small imitation of Memgraph: Bolt 4.3 and 5.2 over TLS, with a password, and answers that a test gives.

Source: neo4j.com/docs/bolt/current. Of PackStream, what clients here send: null, booleans, small numbers,
strings, lists and maps.
"""

from __future__ import annotations

import socketserver
import ssl
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any, BinaryIO

Rows = tuple[list[str], list[list[Any]]]
"""Names of columns, and rows."""
Answer = Callable[[str, Mapping[str, Any]], Rows]
"""Answers a query with its parameters. A `ValueError` is what the server reports."""

HELLO, GOODBYE, RESET, RUN, BEGIN, COMMIT, ROLLBACK, PULL, LOGON, LOGOFF = (
    *(0x01, 0x02, 0x0F, 0x10, 0x11, 0x12, 0x13, 0x3F, 0x6A, 0x6B),
)
SUCCESS, RECORD, IGNORED, FAILURE = 0x70, 0x71, 0x7E, 0x7F
VERSIONS = ((5, 2), (4, 3))


class BoltServer:
    """Listens on `address`, from when it is entered until it is left."""

    def __init__(
        self, certificate: Path, key: Path, password: str, answer: Answer, user: str = "strata"
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        queries: list[tuple[str, dict[str, Any]]] = []
        self.queries = queries
        self.versions: list[tuple[int, int]] = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                try:
                    with context.wrap_socket(self.request, server_side=True) as encrypted:
                        stream = encrypted.makefile("rwb")
                        outer.versions.append(_handshake(stream))
                        _Session(stream, (user, password), answer, queries).serve()
                except (OSError, EOFError):
                    pass  # The client left.

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> BoltServer:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handshake(stream: Any) -> tuple[int, int]:
    offer = _exactly(stream, 20)
    assert offer[:4] == b"\x60\x60\xb0\x17"
    for major, minor in VERSIONS:
        for _, span, highest, offered in struct.iter_unpack("4B", offer[4:]):
            if offered == major and highest - span <= minor <= highest:
                stream.write(bytes([0, 0, minor, major]))
                stream.flush()
                return major, minor
    stream.write(bytes(4))
    stream.flush()
    raise EOFError


class _Session:
    def __init__(
        self,
        stream: Any,
        login: tuple[str, str],
        answer: Answer,
        queries: list[tuple[str, dict[str, Any]]],
    ) -> None:
        self._stream = stream
        self._login = login
        self._answer = answer
        self._queries = queries
        self._rows: list[list[Any]] = []
        self._authenticated = False
        self._failed = False

    def serve(self) -> None:
        while True:
            tag, fields = self._receive()
            if tag == GOODBYE:
                return
            if tag == RESET:
                self._failed = False
            elif self._failed:
                self._send(IGNORED)
                continue
            try:
                self._send(SUCCESS, self._handle(tag, fields))
            except ValueError as error:
                self._failed = True
                code, _, message = str(error).partition(": ")
                self._send(FAILURE, {"code": code, "message": message})
            self._stream.flush()

    def _handle(self, tag: int, fields: list[Any]) -> dict[str, Any]:
        login = next((field for field in fields if "credentials" in field), None)
        if tag in (HELLO, LOGON) and login is not None:
            self._authenticated = (login["principal"], login["credentials"]) == self._login
            if not self._authenticated:
                raise ValueError("Neo.ClientError.Security.Unauthenticated: the password is wrong")
        if tag == HELLO:
            return {"server": "Neo4j/5.2.0 compatible graph database server", "connection_id": "1"}
        if not self._authenticated:
            raise ValueError("Neo.ClientError.Security.Unauthenticated: log in first")
        if tag == RUN:
            query, parameters, _ = fields
            self._queries.append((query, parameters))
            columns, self._rows = self._answer(query, parameters)
            return {"fields": columns}
        if tag == PULL:
            for row in self._rows:
                self._send(RECORD, row)
            return {"has_more": False, "type": "rw"}
        return {}

    def _receive(self) -> tuple[int, list[Any]]:
        message = b""
        while size := struct.unpack(">H", _exactly(self._stream, 2))[0]:
            message += _exactly(self._stream, size)
            if not message:
                raise EOFError
        unpacker = _Unpacker(message)
        count = unpacker.take(1)[0] & 0x0F
        return unpacker.take(1)[0], [unpacker.value() for _ in range(count)]

    def _send(self, tag: int, *fields: Any) -> None:
        message = bytes([0xB0 + len(fields), tag]) + b"".join(map(_pack, fields))
        self._stream.write(struct.pack(">H", len(message)) + message + b"\0\0")
        self._stream.flush()


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise EOFError
    return data


def _pack(value: Any) -> bytes:
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int() if -0x10 <= value <= 0x7F:
            return struct.pack("b", value)
        case int():
            return b"\xcb" + struct.pack(">q", value)
        case str():
            data = value.encode()
            return b"\xd1" + struct.pack(">H", len(data)) + data
        case list():
            return bytes([0x90 + len(value)]) + b"".join(map(_pack, value))
        case dict():
            items = (_pack(key) + _pack(item) for key, item in value.items())
            return bytes([0xA0 + len(value)]) + b"".join(items)
    raise TypeError(type(value))


class _Unpacker:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def value(self) -> Any:
        tag = self.take(1)[0]
        fixed = {0xC0: None, 0xC2: False, 0xC3: True}
        numbers = {0xC8: ">b", 0xC9: ">h", 0xCA: ">i", 0xCB: ">q"}
        sizes = {0xD0: ">B", 0xD1: ">H", 0xD4: ">B", 0xD8: ">B"}
        if tag in fixed:
            return fixed[tag]
        if tag < 0x80 or tag >= 0xF0:
            return struct.unpack("b", bytes([tag]))[0]
        if tag in numbers:
            return self._number(numbers[tag])
        size = self._number(sizes[tag]) if tag in sizes else tag & 0x0F
        if tag in (0xD0, 0xD1) or tag >> 4 == 0x8:
            return self.take(size).decode()
        if tag == 0xD4 or tag >> 4 == 0x9:
            return [self.value() for _ in range(size)]
        assert tag == 0xD8 or tag >> 4 == 0xA, hex(tag)
        return {self.value(): self.value() for _ in range(size)}

    def _number(self, form: str) -> int:
        number: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return number
