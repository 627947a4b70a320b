"""The connection to the Docker engine. The SDK is imported on first use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strata.errors import DockerError

if TYPE_CHECKING:
    import docker
    from docker.context import Context

DEFAULT_HOST = "unix:///var/run/docker.sock"
PING_SECONDS = 10
TIMEOUT_SECONDS = 60
"""A local engine answers every call but a build's at once; this bounds a call to a stuck one."""


def address() -> str:
    """The URL of the engine: DOCKER_HOST, else that of the current Docker context."""
    return os.environ.get("DOCKER_HOST") or _context().Host or DEFAULT_HOST


def is_local() -> bool:
    """Whether the engine at `address()` is on this machine: it listens on a Unix socket."""
    return address().startswith("unix://")


def connect(timeout_seconds: int = TIMEOUT_SECONDS) -> docker.DockerClient:
    """A client of the engine at `address()`. Raises `DockerError` unless the engine answers."""
    import docker
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env
    from requests.exceptions import RequestException

    host = address()
    if os.environ.get("DOCKER_HOST"):
        options = dict[str, Any](kwargs_from_env())
    else:
        options = {"base_url": host, "tls": _context().TLSConfig or False}
    try:
        client = docker.DockerClient(**options, timeout=PING_SECONDS)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        raise _unreachable(host, _cause(error)) from None
    client.api.timeout = timeout_seconds
    return client


@contextmanager
def errors(action: str) -> Iterator[None]:
    """Turns an error of the Docker SDK into a `DockerError`; `action` is what failed."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise DockerError(
            f"{action}: {_cause(error)}",
            "check the engine with `docker info`, then run the same command again",
        ) from error


def _context() -> Context:
    from docker.context import ContextAPI
    from docker.errors import DockerException

    name = os.environ.get("DOCKER_CONTEXT")
    try:
        context: Context | None = ContextAPI.get_context(name)
    except DockerException as error:
        context, name = None, f"{name or 'current'} ({error})"
    if context is None:
        raise DockerError(
            f"docker: there is no context {name or 'of the name in its configuration'}",
            "choose one of `docker context ls` with `docker context use NAME`",
        )
    return context


def _unreachable(host: str, cause: str) -> DockerError:
    if "Permission denied" in cause:
        return DockerError(
            f"docker: this user may not use the engine at {host}",
            "add it to the group (`sudo usermod -aG docker $USER`) and log in again, or run as root",
        )
    if host != DEFAULT_HOST:
        other = "unset DOCKER_HOST or choose another `docker context` to use another engine"
    else:
        other = "install it (https://docs.docker.com/engine/install/; on Debian as root, `make up`)"
    fix = f"start it (`sudo systemctl start docker`, or Docker Desktop), or {other}"
    return DockerError(f"docker: no Docker engine answers at {host} ({cause})", fix)


def _cause(error: Exception) -> str:
    """The engine's own explanation, or the innermost error: the SDK wraps requests, which wraps
    urllib3, which wraps the error of the socket."""
    if explanation := getattr(error, "explanation", None):
        return str(explanation)
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return getattr(cause, "strerror", None) or str(cause)
