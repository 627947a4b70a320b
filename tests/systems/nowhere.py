"""Wrong: links to a port that nobody has, and to a service that is not there."""

from config import Settings
from platforms.platform import Platform
from workload import Endpoint

from .parts import service


def compose(platform: Platform, _: Settings) -> None:
    service(platform, "server")
    service(
        platform,
        "client",
        Endpoint(service="server", port="metrics", number=9100),
        Endpoint(service="nobody", port="http", number=80),
    )
