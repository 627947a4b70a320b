"""A server whose container is restarted after 12 failed health checks, a second apart."""

from strata.components import AppService, AppServiceArgs
from strata.model import HttpProbe, Probe
from strata.stack import Stack

from .parts import SMALL


def compose(stack: Stack) -> None:
    AppService(
        "server",
        AppServiceArgs(
            stack=stack,
            image="probe-server",
            resources=SMALL,
            probe=Probe(
                check=HttpProbe(port=8000),
                interval_seconds=1,
                timeout_seconds=1,
                retries=2,
                start_period_seconds=1,
                ready_within_seconds=12,
            ),
        ),
    )
