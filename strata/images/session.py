"""The secrets of a build, and the session in which BuildKit asks for them.

The engine opens no connection to its client. The client upgrades a request, and the engine is the client
of a gRPC server on that connection. gRPC for Python serves only on sockets of its own, so a thread copies
between the connection and a Unix socket in a private folder.
"""

from __future__ import annotations

import os
import secrets
import selectors
import socket
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, StringValue

from strata.errors import ImageError, reason
from strata.model.build import BuildSecret

_HEALTH = "/grpc.health.v1.Health/Check"
_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105 - the name of a method
_SERVING = 1
_CHUNK_BYTES = 65536
_HIDDEN_LENGTH_MINIMUM = 6
"""A shorter word is hardly a secret, and many others contain it."""


def read(image: str, wanted: Mapping[str, BuildSecret]) -> dict[str, bytes]:
    """The values of secrets. Raises `ImageError`, without a value, for one that this machine lacks."""
    values: dict[str, bytes] = {}
    for name, source in wanted.items():
        try:
            if source.file:
                values[name] = Path(source.file).expanduser().read_bytes()
            else:
                values[name] = os.environb[str(source.environment).encode()]
        except KeyError:
            raise ImageError(
                f"image {image} can't be built: secret {name}: the variable {source.environment} isn't set",
                f"export {source.environment}=..., then run this again",
            ) from None
        except OSError as error:
            raise ImageError(
                f"image {image} can't be built: secret {name}: {reason(error)}",
                "create the file, or correct its path",
            ) from None
    return values


def words(values: Mapping[str, bytes]) -> list[str]:
    """The words of secrets that the output of a build must not show, long ones first."""
    found = {word for value in values.values() for word in value.decode(errors="replace").split()}
    return sorted((word for word in found if len(word) >= _HIDDEN_LENGTH_MINIMUM), key=len)[::-1]


def hide(text: str, hidden: list[str]) -> str:
    """The output of a build without these words."""
    for word in hidden:
        text = text.replace(word, "[secret]")
    return text


class _Secrets(grpc.GenericRpcHandler):
    """Answers a build. BuildKit publishes its messages for Go only; each of those here has one field that
    matters, which is numbered and encoded as that of a standard wrapper."""

    def __init__(self, values: Mapping[str, bytes]) -> None:
        self._values = values

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        # Other methods are unimplemented, which BuildKit takes for an answer.
        method = {_HEALTH: self._health, _SECRET: self._secret}.get(details.method)
        return grpc.unary_unary_rpc_method_handler(method) if method else None

    def _health(self, _: bytes, __: grpc.ServicerContext) -> bytes:
        return Int32Value(value=_SERVING).SerializeToString()

    def _secret(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        name = StringValue.FromString(request).value
        if name not in self._values:
            context.abort(grpc.StatusCode.NOT_FOUND, f"the build has no secret {name}")
        return BytesValue(value=self._values[name]).SerializeToString()


@contextmanager
def open_session(api: Any, values: Mapping[str, bytes]) -> Iterator[str]:
    """Yields the id of a session that has these secrets, by name. `api`: of the Docker SDK's client."""
    identifier = secrets.token_hex(16)
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "h2c",
        "X-Docker-Expose-Session-Uuid": identifier,
        "X-Docker-Expose-Session-Name": "strata",
        "X-Docker-Expose-Session-Grpc-Method": _SECRET,
    }
    with (
        tempfile.TemporaryDirectory(prefix="strata-session-") as folder,
        ThreadPoolExecutor() as pool,
        socket.socket(socket.AF_UNIX) as ours,
        ExitStack() as stack,
    ):
        server = grpc.server(pool, handlers=[_Secrets(values)])
        server.add_insecure_port(f"unix:{folder}/socket")
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        ours.connect(f"{folder}/socket")
        response = stack.enter_context(
            api._post(api._url("/session"), headers=headers, stream=True)
        )
        api._raise_for_status(response)
        # The SDK has no public way to the connection of a request.
        reader = response.raw._fp.fp
        engine = reader.raw._sock
        engine.settimeout(None)
        relay = Thread(target=_relay, args=(reader, engine, ours), daemon=True)
        relay.start()
        try:
            yield identifier
        finally:
            # Ends the relay before its connections are closed.
            for each in (engine, ours):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            relay.join()


def _relay(reader: BufferedReader, engine: socket.socket, ours: socket.socket) -> None:
    """Copies between two connections until either ends. `reader`: of the response of the engine."""
    with suppress(OSError), selectors.DefaultSelector() as selector:
        # The engine speaks first, so the reader may have the beginning.
        ours.sendall(reader.read1(_CHUNK_BYTES))
        for pair in ((engine, ours), (ours, engine)):
            selector.register(pair[0], selectors.EVENT_READ, pair)
        while True:
            for key, _ in selector.select():
                source, target = key.data
                data = source.recv(_CHUNK_BYTES)
                if not data:
                    return
                target.sendall(data)
