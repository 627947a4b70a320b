"""A gateway whose routes accept different credentials."""

from strata.components import Credential, Gateway, GatewayArgs, Route
from strata.stack import Stack

from .parts import echo


def compose(stack: Stack) -> None:
    server = echo(stack).endpoint()
    Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            routes=(
                Route(path="/", endpoint=server, open_reason="the test reads it without a login"),
                Route(path="/headers", endpoint=server),
                Route(path="/socket", endpoint=server, websocket=True),
                Route(path="/keys/headers", endpoint=server, credentials=(Credential.KEY,)),
                Route(path="/tree/", endpoint=server, credentials=(Credential.LOGIN,)),
            ),
        ),
    )
