"""Wrong: links to a port that nobody has, and to a service that is not there."""

from strata.config import Settings
from strata.model import Endpoint
from strata.platforms.platform import Platform

from .parts import service


def compose(platform: Platform, _: Settings) -> None:
    service(platform, "server")
    service(
        platform,
        "client",
        Endpoint(service="server", port="metrics", number=9100),
        Endpoint(service="nobody", port="http", number=80),
    )
