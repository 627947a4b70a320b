"""Wrong: two services that each wait for the other."""

from strata.config import Settings
from strata.model import Endpoint
from strata.platforms.platform import Platform

from .parts import service


def compose(platform: Platform, _: Settings) -> None:
    service(platform, "first", Endpoint(service="second", port="http", number=8000))
    service(platform, "second", Endpoint(service="first", port="http", number=8000))
