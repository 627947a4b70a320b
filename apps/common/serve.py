"""Runs a web application on its sockets until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
import uvloop
from starlette.applications import Starlette

from apps.common import listen, logs
from apps.common.errors import SettingsError
from apps.common.settings import ListenSettings

# Docker's default patience is 10 s; what is still open by then is cut off, and cleaned up after in
# the time that is left.
REQUESTS_END_WITHIN_S = 6
LOG = logging.getLogger(__name__)


def run(service: str, make: Callable[[], tuple[ListenSettings, Starlette]]) -> None:
    """Starts the service that `make` gives, and ends the process with 0 after SIGTERM, 2 after bad
    settings."""
    logs.configure(service)
    try:
        settings, application = make()
        sockets = listen.bind(settings.listen_addresses, settings.listen_port)
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
    LOG.info(
        "starting",
        extra={
            "addresses": listen.addresses(settings.listen_addresses),
            "port": settings.listen_port,
        },
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets))
    if not server.started:
        sys.exit(3)
