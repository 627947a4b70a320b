"""A server with data, and its client."""

from strata.components import AppService, AppServiceArgs
from strata.model import HttpProbe, Probe, Volume
from strata.stack import Stack

from .parts import SMALL, service

QUICK = Probe(
    check=HttpProbe(port=8000),
    interval_seconds=1,
    timeout_seconds=1,
    retries=2,
    start_period_seconds=1,
)


def compose(stack: Stack) -> None:
    server = AppService(
        "server",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            probe=QUICK,
            volumes=(Volume(name="data", path="/data"),),
        ),
    )
    service(stack, "client", server.endpoint())


def other(stack: Stack) -> None:
    """Another system with a service of the same name."""
    compose(stack)
