"""How a pod stops: first no more requests are sent to it, then its process gets the signal."""

from strata.model import Service

DRAIN_SECONDS = 5
"""How long a pod keeps answering after it is marked for deletion. kube-proxy on every node follows
endpoints by a watch, and nothing reports when all have updated. It changes its rules at most once a
second (minSyncPeriod); this is five times that."""

PUBLISHED_DRAIN_SECONDS = 20
"""The same behind a load balancer: with externalTrafficPolicy Local it asks each node whether it has
a pod, and removes a node after two failures, 10 seconds apart (kubernetes/cloud-provider-aws,
pkg/providers/v1/aws.go, health check of a Service whose externalTrafficPolicy is Local)."""


def drain_seconds(service: Service, has_clients: bool) -> int:
    """How long the service keeps answering after its pod is marked for deletion."""
    if any(port.published is not None for port in service.ports):
        return PUBLISHED_DRAIN_SECONDS
    return DRAIN_SECONDS if has_clients else 0


def before_stop(service: Service, drain: int) -> int | tuple[str, ...]:
    """What runs before SIGTERM is sent: a pause, or a command.

    Kubernetes sends SIGTERM, or the signal that the image names. Bash sends any other signal to the
    container's first process and waits until it ends, so SIGTERM reaches no process.
    """
    if service.stop_signal == "SIGTERM":
        return drain
    signal = service.stop_signal.removeprefix("SIG")
    pause = f"sleep {drain}; " if drain else ""
    script = f"{pause}kill -{signal} 1 && while kill -0 1 2> /dev/null; do sleep 0.1; done"
    return ("bash", "-c", script)
