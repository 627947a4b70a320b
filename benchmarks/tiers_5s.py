"""The stack of `benchmarks.tiers`, with Strata's default probe interval."""

from benchmarks.tiers import describe
from strata.stack import Stack

PROBE_INTERVAL_SECONDS = 5


def compose(stack: Stack) -> None:
    describe(stack, PROBE_INTERVAL_SECONDS)
