"""Wrong: two services of one name."""

from strata.config import Settings
from strata.platforms.platform import Platform

from .parts import service


def compose(platform: Platform, _: Settings) -> None:
    service(platform, "same")
    service(platform, "same")
