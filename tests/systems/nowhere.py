"""Wrong: links to a port that nobody has, and to a service that is not there."""

from strata.model import Endpoint
from strata.stack import Stack

from .parts import service


def compose(stack: Stack) -> None:
    service(stack, "server")
    service(
        stack,
        "client",
        Endpoint(service="server", port="metrics", number=9100),
        Endpoint(service="nobody", port="http", number=80),
    )
