"""Two services: a client of a server."""

from strata.stack import Stack

from .parts import service


def compose(stack: Stack) -> None:
    service(stack, "client", service(stack, "server").endpoint())
