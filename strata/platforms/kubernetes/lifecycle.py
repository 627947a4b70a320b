"""How a container starts, is checked, and stops: first no more requests are sent to it, then its
process gets the signal."""

from pulumi_kubernetes.core import v1 as core

from strata.model import ExecProbe, HttpProbe, Probe, Service
from strata.platforms.kubernetes.formatting import escape

START_PERIOD_SECONDS = 1
"""How often a starting service is probed: the shortest period of Kubernetes, so that its clients
start as soon as they can."""

DRAIN_SECONDS = 5
"""How long a pod keeps answering after it is marked for deletion. kube-proxy on every node follows
endpoints by a watch, and nothing reports when all have updated. It changes its rules at most once a
second (minSyncPeriod); this is five times that."""

PUBLISHED_DRAIN_SECONDS = 20
"""The same behind a load balancer: with externalTrafficPolicy Local it asks each node whether it has
a pod, and removes a node after two failures, 10 seconds apart (kubernetes/cloud-provider-aws,
pkg/providers/v1/aws.go, health check of a Service whose externalTrafficPolicy is Local)."""


def probe(
    check: HttpProbe | ExecProbe,
    *,
    period_seconds: int,
    timeout_seconds: int,
    failures: int | None = None,
    initial_delay_seconds: int | None = None,
) -> core.ProbeArgs:
    """`failures`: Kubernetes' default is 3."""
    args = core.ProbeArgs(
        initial_delay_seconds=initial_delay_seconds,
        period_seconds=period_seconds,
        timeout_seconds=timeout_seconds,
        failure_threshold=failures,
        success_threshold=1,
    )
    if isinstance(check, HttpProbe):
        args.http_get = core.HTTPGetActionArgs(path=check.path, port=check.port, scheme="HTTP")
    else:
        args.exec_ = core.ExecActionArgs(command=[escape(one) for one in check.command])
    return args


def start_seconds(described: Probe) -> int:
    """How long a container has to start."""
    return max(described.ready_within_seconds, described.start_period_seconds)


def probes(described: Probe) -> tuple[core.ProbeArgs, core.ProbeArgs, core.ProbeArgs]:
    """The startup, readiness and liveness probes.

    A container is not ready after `retries` failures.
    """

    def every(period_seconds: int, failures: int) -> core.ProbeArgs:
        return probe(
            described.check,
            period_seconds=period_seconds,
            timeout_seconds=described.timeout_seconds,
            failures=failures,
        )

    interval = described.interval_seconds
    return (
        every(START_PERIOD_SECONDS, start_seconds(described) // START_PERIOD_SECONDS),
        every(interval, described.retries),
        every(interval, described.failures_until_restart),
    )


def drain_seconds(service: Service, has_clients: bool) -> int:
    """How long the service keeps answering after its pod is marked for deletion."""
    if any(port.published is not None for port in service.ports):
        return PUBLISHED_DRAIN_SECONDS
    return DRAIN_SECONDS if has_clients else 0


def before_stop(service: Service, drain: int) -> core.LifecycleArgs | None:
    """What runs before SIGTERM is sent: a pause, or a command.

    Kubernetes sends SIGTERM, or the signal that the image names. Bash sends any other signal to the
    container's first process and waits until it ends, so SIGTERM reaches no process.
    """
    if service.stop_signal == "SIGTERM":
        handler = core.LifecycleHandlerArgs(sleep=core.SleepActionArgs(seconds=drain))
        return core.LifecycleArgs(pre_stop=handler) if drain else None
    signal = service.stop_signal.removeprefix("SIG")
    pause = f"sleep {drain}; " if drain else ""
    script = f"{pause}kill -{signal} 1 && while kill -0 1 2> /dev/null; do sleep 0.1; done"
    handler = core.LifecycleHandlerArgs(exec_=core.ExecActionArgs(command=["bash", "-c", script]))
    return core.LifecycleArgs(pre_stop=handler)
