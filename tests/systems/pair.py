"""Two services: a client of a server."""

from strata.config import Settings
from strata.platforms.platform import Platform

from .parts import service


def compose(platform: Platform, _: Settings) -> None:
    service(platform, "client", service(platform, "server").endpoint())
