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


def echo(stack: Stack, name: str = "echo", *, mutual_tls: bool = False) -> AppService:
    """The server of echo_server.py."""
    return AppService(
        name,
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            mutual_tls=mutual_tls,
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
    """Those of a gateway, whatever its engine. Only `/keys` requires a key."""
    opened = "a test has no key"
    return (
        Route(path="/", endpoint=echo, open_reason=opened),
        Route(path="/tree/", endpoint=echo, open_reason=opened),
        Route(path="/headers", endpoint=echo, open_reason=opened),
        Route(path="/rare", endpoint=echo, requests_per_second=1, burst=1, open_reason=opened),
        Route(path="/small", endpoint=echo, body_kib=1, open_reason=opened),
        Route(path="/late", endpoint=echo, timeout_seconds=1, open_reason=opened),
        Route(path="/socket", endpoint=echo, websocket=True, open_reason=opened),
        Route(path="/away", endpoint=away, open_reason=opened),
        Route(path="/keys", endpoint=echo),
        Route(path="/keys/rare", endpoint=echo, requests_per_second=1, burst=1),
    )
