"""Runs a shell or a command in a pod of a stack in a cluster."""

from collections.abc import Sequence

from strata.ops.deployed import none_runs
from strata.ops.kubernetes.cluster import (
    Cluster,
    container_of,
    container_status,
    name_of,
    service_of,
)
from strata.platforms.kubernetes.pod_state import Json, is_terminating, state

SHELL = ("sh", "-c", "command -v bash > /dev/null && exec bash || exec sh")


def command_line(
    cluster: Cluster, name: str, command: Sequence[str], *, terminal: bool
) -> list[str]:
    """The `kubectl exec` that runs the command, or a shell without one, as the container's user.

    `name`: a service, which is its first pod that is ready, or else runs; or a pod. Raises
    `InvalidStackError` if there is no such pod, or it doesn't run.
    """
    pod = _pod(cluster, name)
    return [
        *("kubectl", "--context", cluster.context),
        *("--namespace", pod["metadata"]["namespace"]),
        *("exec", "--stdin", *(["--tty"] if terminal else [])),
        *(name_of(pod), "--container", container_of(pod)["name"], "--"),
        *(command or SHELL),
    ]


def _pod(cluster: Cluster, name: str) -> Json:
    pods = cluster.pods()
    listed = [each for each in pods if name_of(each) == name]
    if not listed:
        cluster.check_services([name])
        listed = [each for each in pods if service_of(each) == name]
    running = [
        each
        for each in listed
        if "running" in container_status(each).get("state", {}) and not is_terminating(each)
    ]
    if not running:
        raise none_runs(cluster.names.stack, service_of(listed[0]) if listed else name)
    return min(running, key=lambda each: (state(each)[0] != "healthy", name_of(each)))
