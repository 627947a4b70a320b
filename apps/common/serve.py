"""Runs a web application on its sockets until it is told to stop."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import uvicorn
import uvloop
from starlette.applications import Starlette

from apps.common import listen, logs, settings, traces
from apps.common.errors import SettingsError
from apps.common.settings import ListenSettings

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
        application = make(loaded)
        sockets = listen.bind(loaded.listen_addresses, loaded.listen_port)
    except SettingsError as error:
        LOG.error("cannot start: %s", error)
        sys.exit(2)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="on",
            timeout_graceful_shutdown=REQUESTS_END_WITHIN_S,
            backlog=listen.BACKLOG,
        )
    )

    def told(number: int, _: FrameType | None) -> None:
        # The server raises the signal again once it has stopped; by then there is nothing left to
        # do.
        LOG.info("stopped", extra={"signal": signal.Signals(number).name})

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    addresses = listen.addresses(loaded.listen_addresses)
    LOG.info("starting", extra={"addresses": addresses, "port": loaded.listen_port})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets))
    traces.stop()
    if not server.started:
        sys.exit(3)
