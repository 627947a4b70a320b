"""A gateway, what is behind it, and who reads its metrics."""

from strata.components import Gateway, GatewayArgs, Route
from strata.stack import Stack

from .parts import echo, routes, service


def compose(stack: Stack) -> None:
    server = echo(stack).endpoint()
    gateway = Gateway(
        "gateway",
        GatewayArgs(
            stack=stack,
            http=stack.settings.ports.http,
            https=stack.settings.ports.https,
            origins=("https://app.example.com",),
            # It counts the spans that it gets.
            traces={"OTEL_EXPORTER_OTLP_ENDPOINT": server},
            routes=(
                *routes(server, service(stack, "away").endpoint()),
                Route(
                    path="/guarded/",
                    endpoint=echo(stack, "guarded", mutual_tls=True).endpoint(),
                    open_reason="the test is about the service's own authentication",
                ),
            ),
        ),
    )
    service(stack, "reader", gateway.endpoint("metrics"))
