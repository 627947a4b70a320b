"""Restarts services of a stack in a cluster, as `kubectl rollout restart` does."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from strata import console
from strata.errors import OpsError
from strata.ops.deployed import check_no_jobs
from strata.ops.kubernetes.cluster import Cluster, name_of, service_of
from strata.ops.kubernetes.status import wanted
from strata.platforms.kubernetes.pod_state import Json, is_terminating, state

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""A new value changes the pod template, so the controller replaces its pods by its update strategy.

`pulumi up` leaves it alone. Pulumi's provider uses server-side apply (its default since v4), which
removes only fields that its own field manager has set, and this one belongs to `FIELD_MANAGER`."""
FIELD_MANAGER = "strata-restart"
POLL_SECONDS = 1.0
PROGRESS_SECONDS = 600
"""How long a rollout may make no progress: Kubernetes' default for a Deployment. Those of a stack set
their own limit, because a GPU node may take longer."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How many pods are replaced and ready, of how many."""

    done: int
    wanted: int
    is_complete: bool


def restart(cluster: Cluster, services: Sequence[str]) -> int:
    """Restarts the pods of these services, one service after another in this order, and waits each time
    until all of them are ready. Returns the number of pods.

    Raises `InvalidStackError` before anything is restarted, and `OpsError` if a rollout makes no
    progress: the services after it aren't restarted.
    """
    workloads = cluster.check_services(services)
    check_no_jobs(
        service_of(each)
        for each in workloads
        if each["kind"] in ("Job", "CronJob") and service_of(each) in services
    )
    controllers = {service_of(each): each for each in workloads if service_of(each) in services}
    count = 0
    for name in services:
        with console.step(f"Restarting {name}") as step:
            changed = cluster.patch(controllers[name], change(datetime.now(UTC)), FIELD_MANAGER)
            count += _wait(cluster, changed, step)
    return count


def change(now: datetime) -> Json:
    """The merge patch that makes a controller replace its pods."""
    annotations = {RESTARTED_AT: now.isoformat(timespec="seconds")}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def rollout(controller: Json) -> Rollout:
    """How far the rollout of a controller is, as `kubectl rollout status` tells it."""
    status, number = controller.get("status", {}), wanted(controller)
    if controller["kind"] == "DaemonSet":
        fields = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    else:
        fields = ("replicas", "updatedReplicas", "availableReplicas")
    existing, updated, available = (int(status.get(each, 0)) for each in fields)
    # Until the controller has seen the change, its numbers are those of before.
    seen = status.get("observedGeneration", 0) >= controller["metadata"]["generation"]
    old = existing - updated
    done = max(0, available - old) if seen else 0
    return Rollout(done=done, wanted=number, is_complete=seen and old == 0 and done >= number)


def unready(pods: Iterable[Json]) -> str:
    """The pods that aren't ready, each with the reason."""
    states = ((name_of(pod), *state(pod)) for pod in pods if not is_terminating(pod))
    return "; ".join(
        f"{name} is {its_state}{f' ({reason})' if reason else ''}"
        for name, its_state, reason in states
        if its_state != "healthy"
    )


def _wait(cluster: Cluster, controller: Json, step: console.Step) -> int:
    """Returns the number of pods once all are replaced and ready."""
    service = service_of(controller)
    limit = controller["spec"].get("progressDeadlineSeconds", PROGRESS_SECONDS)
    progressed, before = time.monotonic(), None
    while True:
        now = rollout(controller)
        if now.is_complete:
            return now.wanted
        if now != before:
            progressed, before = time.monotonic(), now
        waiting = unready(cluster.pods([service]))
        if time.monotonic() - progressed > limit:
            raise OpsError(
                f"service {service}: {now.done} of {now.wanted} pods are restarted and ready, and no"
                f" more within {limit} s: {waiting or 'the cluster gives no reason'};"
                " the services after it weren't restarted",
                f"correct the cause; its log: strata logs {service} --stack {cluster.names.stack}",
            )
        progress = f"{now.done} of {now.wanted} pods"
        step.update(f"{progress}; {waiting}" if waiting else progress)
        time.sleep(POLL_SECONDS)
        controller = cluster.read(controller)
