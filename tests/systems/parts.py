"""What the test systems are made of."""

from pathlib import Path

from strata.components import AppService, AppServiceArgs, Route
from strata.model import Endpoint, File, Resources
from strata.stack import Stack

SMALL = Resources(memory_mib=64, cpu=0.5)


def service(stack: Stack, name: str, *calls: Endpoint) -> AppService:
    """A small service that calls others."""
    return AppService(
        name,
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            calls={f"{one.service.upper()}_URL": one for one in calls},
        ),
    )


def echo(stack: Stack) -> AppService:
    """The server of echo_server.py."""
    return AppService(
        "echo",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            command=("python3", "-I", "/opt/echo/main.py"),
            files=(
                File(
                    path="/opt/echo/main.py",
                    content=Path(__file__).with_name("echo_server.py").read_text(),
                ),
            ),
        ),
    )


def routes(echo: Endpoint, away: Endpoint) -> tuple[Route, ...]:
    """Those of a gateway, whatever its engine."""
    return (
        Route(path="/", endpoint=echo),
        Route(path="/tree/", endpoint=echo),
        Route(path="/headers", endpoint=echo),
        Route(path="/rare", endpoint=echo, requests_per_second=1, burst=1),
        Route(path="/small", endpoint=echo, body_kib=1),
        Route(path="/late", endpoint=echo, timeout_seconds=1),
        Route(path="/socket", endpoint=echo, websocket=True),
        Route(path="/away", endpoint=away),
    )
