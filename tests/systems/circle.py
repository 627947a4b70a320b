"""Wrong: two services that each wait for the other."""

from strata.model import Endpoint
from strata.stack import Stack

from .parts import service


def compose(stack: Stack) -> None:
    service(stack, "first", Endpoint(service="second", port="http", number=8000))
    service(stack, "second", Endpoint(service="first", port="http", number=8000))
