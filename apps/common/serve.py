"""Runs a web application on its sockets until it is told to stop."""

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar

import uvicorn
import uvloop
from starlette.applications import Starlette

from apps.common import listen, logs, settings, traces, web
from apps.common.errors import SettingsError
from apps.common.settings import ListenSettings, MutualTlsListenSettings

# Docker's default patience is 10 s; what is still open by then is cut off, and cleaned up after in
# the time that is left.
REQUESTS_END_WITHIN_S = 6
LOG = logging.getLogger(__name__)

Settings = TypeVar("Settings", bound=ListenSettings)


def run(service: str, kind: type[Settings], make: Callable[[Settings], Starlette]) -> None:
    """Reads the settings and starts the application that `make` gives for them. Ends the process
    with 0 after SIGTERM, 2 after bad settings."""
    logs.configure(service)
    traces.configure(service)
    try:
        loaded = settings.load(kind)
        servers = _servers(make(loaded), loaded)
    except SettingsError as error:
        LOG.error("cannot start: %s", error)
        sys.exit(2)

    def told(number: int, _: FrameType | None) -> None:
        # The server raises the signal again once it has stopped; by then there is nothing left to
        # do.
        LOG.info("stopped", extra={"signal": signal.Signals(number).name})

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    addresses = listen.addresses(loaded.listen_addresses)
    LOG.info("starting", extra={"addresses": addresses, "port": loaded.listen_port})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(servers))
    traces.stop()
    if not all(server.started for server, _ in servers):
        sys.exit(3)


class _Companion(uvicorn.Server):
    """A second server of a process. The first one handles the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


Bound = tuple[uvicorn.Server, list[socket.socket]]


def _servers(application: Starlette, loaded: ListenSettings) -> list[Bound]:
    """The servers of an application, on their sockets: with mutual TLS, another one for its health."""
    sockets = listen.bind(loaded.listen_addresses, loaded.listen_port)
    if not isinstance(loaded, MutualTlsListenSettings):
        return [(uvicorn.Server(_config(application)), sockets)]
    config = _config(
        application,
        ssl_certfile=loaded.tls_certificate_file,
        ssl_keyfile=loaded.tls_private_key_file,
        ssl_ca_certs=str(loaded.tls_ca_file),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    return [
        (
            uvicorn.Server(config),
            listen.bind(loaded.tls_listen_addresses, loaded.tls_listen_port),
        ),
        (_Companion(_config(web.health_alone(application), lifespan="off")), sockets),
    ]


def _config(application: Starlette, **changes: Any) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        **{
            "log_config": None,
            "access_log": False,
            "server_header": False,
            "date_header": False,
            "lifespan": "on",
            "timeout_graceful_shutdown": REQUESTS_END_WITHIN_S,
            "backlog": listen.BACKLOG,
            **changes,
        },
    )


async def _serve(servers: list[Bound]) -> None:
    """Serves until the first server is told to stop."""
    (first, sockets), *others = servers
    companions = [asyncio.create_task(server.serve(bound)) for server, bound in others]
    try:
        await first.serve(sockets)
    finally:
        for server, _ in others:
            server.should_exit = True
        await asyncio.gather(*companions)
