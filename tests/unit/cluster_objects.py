"""Objects of a stack in a cluster, as its API returns them, with what the day-to-day commands read."""

from typing import Any

Json = dict[str, Any]

RUNNING = {"running": {"startedAt": "2026-01-31T12:00:00Z"}}
SCHEDULED = {"type": "PodScheduled", "status": "True"}
READY = {"type": "Ready", "status": "True"}
NAMESPACE = "shop-prod"


def metadata(name: str, service: str, component: str = "application", **more: Any) -> Json:
    labels = {
        "app.kubernetes.io/name": service,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": "prod",
    }
    return {
        "name": name,
        "namespace": NAMESPACE,
        "labels": labels,
        "creationTimestamp": "2026-01-31T12:00:00Z",
        "generation": 2,
        **more,
    }


def container(name: str, state: Json | None = None, *, started: bool = True, **more: Any) -> Json:
    """The status of a container."""
    return {
        "name": name,
        "state": RUNNING if state is None else state,
        "lastState": {},
        "restartCount": 0,
        "started": started,
        **more,
    }


def pod(
    name: str,
    service: str,
    *,
    phase: str = "Running",
    conditions: tuple[Json, ...] = (SCHEDULED, READY),
    statuses: tuple[Json, ...] | None = None,
    component: str = "application",
    status: Json | None = None,
    **more: Any,
) -> Json:
    """A healthy pod by default. `more`: its metadata."""
    running = (container(service, containerID=f"containerd://{name}"),)
    resources = {"limits": {"cpu": "500m", "memory": "256Mi"}}
    image = "registry.test/app@sha256:0123456789abcdef"
    return {
        "kind": "Pod",
        "metadata": metadata(name, service, component, **more),
        "spec": {"containers": [{"name": service, "image": image, "resources": resources}]},
        "status": {
            "phase": phase,
            "conditions": list(conditions),
            "containerStatuses": list(running if statuses is None else statuses),
            **(status or {}),
        },
    }


def controller(
    service: str, replicas: int = 1, kind: str = "Deployment", status: Json | None = None
) -> Json:
    return {
        "kind": kind,
        "metadata": metadata(service, service),
        "spec": {"replicas": replicas},
        "status": status or {},
    }


def job(name: str, kind: str = "Job", conditions: tuple[Json, ...] = ()) -> Json:
    return {
        "kind": kind,
        "metadata": metadata(name, name, "job"),
        "spec": {},
        "status": {"conditions": list(conditions)},
    }
