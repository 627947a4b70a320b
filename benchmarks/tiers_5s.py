"""The stack of `benchmarks.tiers`, asked for health as seldom as a stack of Strata is by default."""

from benchmarks.tiers import describe
from strata.config import Settings
from strata.platforms.platform import Platform

PROBE_INTERVAL_SECONDS = 5


def compose(platform: Platform, settings: Settings) -> None:
    describe(platform, PROBE_INTERVAL_SECONDS)
