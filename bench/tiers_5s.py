"""The stack of `bench.tiers`, asked for health as seldom as a stack of Strata is by default."""

from bench.tiers import describe
from config import Settings
from platforms.platform import Platform

PROBE_INTERVAL_SECONDS = 5


def compose(platform: Platform, settings: Settings) -> None:
    describe(platform, PROBE_INTERVAL_SECONDS)
