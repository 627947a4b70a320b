"""Builds by BuildKit. An engine without it ignores `version=2`, and builds by its older builder.

The Docker SDK for Python doesn't support BuildKit, which reports its steps and their output as messages in
Protocol Buffers. A session has only secrets, so `--mount=type=ssh` doesn't work.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

if TYPE_CHECKING:
    import docker

_TRACE = "moby.buildkit.trace"
# The numbers of fields, from api/services/control/control.proto of BuildKit.
_VERTEXES, _LOGS, _NAME, _MESSAGE = 1, 3, 3, 4


def build(
    client: docker.DockerClient,
    context: bytes,
    *,
    tag: str,
    labels: Mapping[str, str],
    target: str | None,
    arguments: Mapping[str, str],
    network: str | None,
    session_id: str | None,
    use_cache: bool,
    platform: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Builds a context, a tar. Yields the events of the engine in the form of its older builder: `stream`
    has a step or its output, `error` why the build failed. `session_id`: of the session that
    has the secrets of the build. `platform`: by default the engine's."""
    # The SDK has no public method for a request that it doesn't know.
    api: Any = client.api
    parameters = {
        "version": "2",
        "t": tag,
        "labels": json.dumps(dict(labels)),
        "buildargs": json.dumps(dict(arguments)),
        **({"target": target} if target else {}),
        **({"networkmode": network} if network else {}),
        **({"session": session_id} if session_id else {}),
        **({} if use_cache else {"nocache": "1"}),
        **({"platform": platform} if platform else {}),
    }
    response = api._post(
        api._url("/build"),
        data=context,
        params=parameters,
        headers={"Content-Type": "application/x-tar"},
        stream=True,
    )
    api._raise_for_status(response)
    names: set[str] = set()
    for event in api._stream_helper(response, decode=True):
        if event.get("id") != _TRACE:
            yield event
            continue
        for number, value in _fields(base64.b64decode(event["aux"])):
            if number == _VERTEXES:
                name = _text(value, _NAME)
                # Each step comes several times; the engine's own have no bearing on the Dockerfile.
                if name.startswith("[") and not name.startswith("[internal]") and name not in names:
                    names.add(name)
                    yield {"stream": f"Step {name}\n"}
            elif number == _LOGS:
                yield {"stream": _text(value, _MESSAGE)}


def _text(message: bytes, number: int) -> str:
    return b"".join(value for field, value in _fields(message) if field == number).decode(
        errors="replace"
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbers and values of a message's fields that are text or a message."""
    # Where a type declares no field, all are unknown. BuildKit publishes its types for Go only.
    fields = UnknownFieldSet(Empty.FromString(message))
    for index in range(len(fields)):
        value = fields[index].data
        if isinstance(value, bytes):
            yield fields[index].field_number, value
