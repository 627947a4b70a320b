"""A service whose image is a folder beside the program: a test copies it there, and edits it."""

from strata.components import AppService, AppServiceArgs
from strata.stack import Stack

from .parts import SMALL


def compose(stack: Stack) -> None:
    AppService(
        "app",
        AppServiceArgs(
            stack=stack,
            image="./service",
            resources=SMALL,
            published=stack.settings.ports.http,
        ),
    )
