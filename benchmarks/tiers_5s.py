"""The stack of `benchmarks.tiers`, asked for health as seldom as a stack of Strata is by default."""

from benchmarks.tiers import describe
from strata.stack import Stack

PROBE_INTERVAL_SECONDS = 5


def compose(stack: Stack) -> None:
    describe(stack, PROBE_INTERVAL_SECONDS)
