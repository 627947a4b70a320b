"""How a pod is ended: first nobody is sent there any more, then the process gets its signal."""

import pulumi_kubernetes as kubernetes

from strata.model import Service

DRAIN_SECONDS = 5
"""Between the end of a pod being announced and every node's kube-proxy sending nobody there, in which
the process goes on answering. Nothing tells when all have heard: kube-proxy follows endpoints by a
watch, and changes its rules at most once a second (its minSyncPeriod); this is five times that."""

PUBLISHED_DRAIN_SECONDS = 20
"""Where a load balancer leads to the pod: with externalTrafficPolicy Local it asks each node whether
it has one, and takes a node out after two failures, 10 seconds apart (kubernetes/cloud-provider-aws,
pkg/providers/v1/aws.go, health check of a Service whose externalTrafficPolicy is Local)."""


def drain_seconds(service: Service, has_clients: bool) -> int:
    """How long the service goes on answering after its end was announced."""
    if any(port.published is not None for port in service.ports):
        return PUBLISHED_DRAIN_SECONDS
    return DRAIN_SECONDS if has_clients else 0


def grace_seconds(service: Service, drain: int) -> int:
    """All the time a pod has to end: Kubernetes counts its preStop in."""
    return drain + service.stop_grace_seconds


def lifecycle(service: Service, drain: int) -> kubernetes.core.v1.LifecycleArgs | None:
    """What is done before SIGTERM is sent.

    Kubernetes sends the signal that the image names, or SIGTERM. Another one is sent here, by bash,
    to the first process of the container, and waited for: SIGTERM then finds nobody.
    """
    if service.stop_signal == "SIGTERM":
        return (
            _before_stop(sleep=kubernetes.core.v1.SleepActionArgs(seconds=drain)) if drain else None
        )
    signal = service.stop_signal.removeprefix("SIG")
    pause = f"sleep {drain}; " if drain else ""
    script = f"{pause}kill -{signal} 1 && while kill -0 1 2> /dev/null; do sleep 0.1; done"
    return _before_stop(exec_=kubernetes.core.v1.ExecActionArgs(command=["bash", "-c", script]))


def _before_stop(
    sleep: kubernetes.core.v1.SleepActionArgs | None = None,
    exec_: kubernetes.core.v1.ExecActionArgs | None = None,
) -> kubernetes.core.v1.LifecycleArgs:
    return kubernetes.core.v1.LifecycleArgs(
        pre_stop=kubernetes.core.v1.LifecycleHandlerArgs(sleep=sleep, exec_=exec_)
    )
