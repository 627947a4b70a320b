"""One Probe becomes three: startup, readiness and liveness."""

import math
from dataclasses import dataclass

from strata.model import HttpProbe, Probe
from strata.platforms.kubernetes.pod import ContainerProbe, HttpCheck

START_PERIOD_SECONDS = 1
"""How often a starting service is probed: the shortest period of Kubernetes, so that its clients
start as soon as they can."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    startup: ContainerProbe
    readiness: ContainerProbe
    liveness: ContainerProbe


def probes(probe: Probe) -> Probes:
    """The three probes.

    A container has `ready_within_seconds` (or `start_period_seconds`, if that is longer) to start.
    It is not ready after `retries` failures. It is restarted only after failing for as long as a
    start may take: a server that restarts must not restart its clients.
    """
    start_seconds = max(probe.ready_within_seconds, probe.start_period_seconds)
    dead = max(probe.retries, math.ceil(probe.ready_within_seconds / probe.interval_seconds))
    return Probes(
        startup=_probe(probe, START_PERIOD_SECONDS, start_seconds // START_PERIOD_SECONDS),
        readiness=_probe(probe, probe.interval_seconds, probe.retries),
        liveness=_probe(probe, probe.interval_seconds, dead),
    )


def _probe(probe: Probe, period_seconds: int, failures: int) -> ContainerProbe:
    check = probe.check
    return ContainerProbe(
        check=HttpCheck(path=check.path, port=check.port)
        if isinstance(check, HttpProbe)
        else check.command,
        period_seconds=period_seconds,
        timeout_seconds=probe.timeout_seconds,
        failures=failures,
    )
