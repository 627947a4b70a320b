"""Wrong: two services that each wait for the other."""

from config import Settings
from platforms.platform import Platform
from workload import Endpoint

from .parts import service


def compose(platform: Platform, _: Settings) -> None:
    service(platform, "first", Endpoint(service="second", port="http", number=8000))
    service(platform, "second", Endpoint(service="first", port="http", number=8000))
