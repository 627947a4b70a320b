"""One Probe becomes three: has it started, may it be asked, is it dead."""

import math
from dataclasses import dataclass

import pulumi_kubernetes as kubernetes

from strata.model import HttpProbe, Probe
from strata.platforms.kubernetes.escaping import escape

START_PERIOD_SECONDS = 1
"""How often a service that starts is asked: the least that Kubernetes has, so that its clients start
as soon as they can."""


@dataclass(frozen=True, kw_only=True)
class Probes:
    startup: kubernetes.core.v1.ProbeArgs
    readiness: kubernetes.core.v1.ProbeArgs
    liveness: kubernetes.core.v1.ProbeArgs


def make(probe: Probe) -> Probes:
    """The three probes.

    A container is given `ready_within_seconds` (or `start_period_seconds`, if that is longer) to
    start, and is not taken for dead meanwhile. It is not ready after `retries` failures. It is dead,
    and started anew, only after failing for as long as a start may take: what it depends on may
    just be starting again, and must not take its clients along.
    """
    start_seconds = max(probe.ready_within_seconds, probe.start_period_seconds)
    long = max(probe.retries, math.ceil(probe.ready_within_seconds / probe.interval_seconds))
    return Probes(
        startup=_probe(probe, START_PERIOD_SECONDS, start_seconds // START_PERIOD_SECONDS),
        readiness=_probe(probe, probe.interval_seconds, probe.retries),
        liveness=_probe(probe, probe.interval_seconds, long),
    )


def _probe(probe: Probe, period_seconds: int, failures: int) -> kubernetes.core.v1.ProbeArgs:
    check = probe.check
    return kubernetes.core.v1.ProbeArgs(
        http_get=(
            kubernetes.core.v1.HTTPGetActionArgs(path=check.path, port=check.port, scheme="HTTP")
            if isinstance(check, HttpProbe)
            else None
        ),
        exec_=(
            None
            if isinstance(check, HttpProbe)
            else kubernetes.core.v1.ExecActionArgs(command=[escape(one) for one in check.command])
        ),
        period_seconds=period_seconds,
        timeout_seconds=probe.timeout_seconds,
        failure_threshold=failures,
        success_threshold=1,
    )
