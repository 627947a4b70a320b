"""Wrong: two services of one name."""

from strata.stack import Stack

from .parts import service


def compose(stack: Stack) -> None:
    service(stack, "same")
    service(stack, "same")
