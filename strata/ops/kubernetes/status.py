"""What runs of a stack in a cluster, and how it is. Each pod is a container of `Status`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from strata.model import Kind
from strata.ops.kubernetes.cluster import (
    CONTROLLERS,
    JOBS,
    Cluster,
    PodUsage,
    container_of,
    limits,
    name_of,
    service_of,
)
from strata.ops.status import PASSWORD_FILE, USER, ContainerStatus, Status, absent, short_image
from strata.platforms.kubernetes.exposure import url
from strata.platforms.kubernetes.names import COMPONENT
from strata.platforms.kubernetes.pod_state import (
    Json,
    conditions_of,
    explain,
    is_terminating,
    state,
)

GRAFANA, GRAFANA_PATH = "grafana", "/grafana/"
GPU_RESOURCES = "nvidia.com/"
"""The start of the resources of NVIDIA's device plugin: whole GPUs, shared ones and MIG slices."""


def status(cluster: Cluster, domain: str | None) -> Status:
    """The state of a stack. `domain`: its public name, if it has one.

    Raises `InvalidStackError` if there is nothing of the stack.
    """
    found = cluster.objects("Pod", "Service", *CONTROLLERS, *JOBS)
    workloads = [each for each in found if each["kind"] in (*CONTROLLERS, *JOBS)]
    if not workloads:
        raise cluster.not_up()
    balancers = [each for each in found if each["spec"].get("type") == "LoadBalancer"]
    urls = dict(_urls(balancers, domain))
    pods = [each for each in found if each["kind"] == "Pod"]
    rows = containers(workloads, pods, cluster.usage() or {}, urls)
    gateways = [each for each in balancers if each["metadata"]["labels"][COMPONENT] == Kind.GATEWAY]
    has_grafana = any(service_of(each) == GRAFANA for each in workloads)
    pages = [urls[service_of(each)] for each in gateways if service_of(each) in urls]
    password = f"kubectl exec --namespace {cluster.names.namespace} deployment/{GRAFANA}"
    return Status(
        stack=cluster.names.stack,
        containers=tuple(sorted(rows, key=lambda each: each.name)),
        alerts_problem="`strata status` doesn't read them from a cluster"
        + ("; Grafana shows them" if has_grafana else ""),
        alerts=(),
        disk_free=None,
        last_backup=None,
        dashboards=f"{pages[0]}{GRAFANA_PATH}" if pages and has_grafana else None,
        logs=None,
        login=(
            f"user {USER}; the password: {password} -- cat {PASSWORD_FILE}" if has_grafana else None
        ),
    )


def containers(
    workloads: Iterable[Json],
    pods: Iterable[Json],
    used: Mapping[str, PodUsage],
    urls: Mapping[str, str],
) -> Iterator[ContainerStatus]:
    """The pods of controllers and jobs, and those that are missing."""
    by_service: defaultdict[str, list[Json]] = defaultdict(list)
    for pod in pods:
        by_service[service_of(pod)].append(pod)

    def row(pod: Json) -> ContainerStatus:
        return _row(pod, used.get(name_of(pod)), urls.get(service_of(pod)))

    for workload in workloads:
        own = by_service[service_of(workload)]
        if workload["kind"] == "CronJob" or (workload["kind"] == "Job" and not _owner(workload)):
            # Earlier attempts and runs stay in the cluster; the newest counts.
            newest = sorted(own, key=lambda each: str(each["metadata"]["creationTimestamp"]))[-1:]
            yield from map(row, newest) if newest else [_without_pod(workload)]
        elif workload["kind"] in CONTROLLERS:
            # A failed pod, such as an evicted one, stays in the cluster after it was replaced.
            live = [each for each in own if each["status"].get("phase") != "Failed"]
            yield from map(row, live)
            existing = sum(not is_terminating(each) for each in live)
            for _ in range(wanted(workload) - existing):
                yield absent(service_of(workload), reason=_not_created(workload))


def wanted(controller: Json) -> int:
    """How many pods a Deployment, a StatefulSet or a DaemonSet should have."""
    if controller["kind"] == "DaemonSet":
        return int(controller.get("status", {}).get("desiredNumberScheduled", 0))
    return int(controller["spec"].get("replicas", 1))


def _row(pod: Json, used: PodUsage | None, page: str | None) -> ContainerStatus:
    its_state, reason = state(pod)
    its_limits = limits(pod)
    return ContainerStatus(
        name=name_of(pod),
        service=service_of(pod),
        state=its_state,
        reason=reason,
        restarts=sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ())),
        image=short_image(container_of(pod)["image"]),
        memory_mib=used.memory_mib if used else None,
        memory_limit_mib=its_limits.get("memory", 0) / 2**20,
        cores=used.cores if used else None,
        cores_limit=its_limits.get("cpu", 0),
        gpus=int(sum(n for name, n in its_limits.items() if name.startswith(GPU_RESOURCES))),
        urls=(page,) if page else (),
    )


def _without_pod(job: Json) -> ContainerStatus:
    """A job whose pod doesn't exist yet, or no longer: the node of a completed one may be gone."""
    name = service_of(job)
    conditions = conditions_of(job)
    if job["kind"] == "CronJob":
        return absent(name, "scheduled")
    if conditions.get("Complete", {}).get("status") == "True":
        return absent(name, "succeeded")
    failed = conditions.get("Failed", {})
    if failed.get("status") == "True":
        return absent(name, "failed", explain(failed.get("reason"), failed.get("message")))
    return absent(name)


def _not_created(controller: Json) -> str:
    """Why a controller can't create a pod, such as an exceeded quota, if it says so."""
    condition = conditions_of(controller).get("ReplicaFailure", {})
    return explain(condition.get("reason"), condition.get("message"))


def _owner(item: Json) -> bool:
    return bool(item["metadata"].get("ownerReferences"))


def _urls(balancers: Iterable[Json], domain: str | None) -> Iterator[tuple[str, str]]:
    """The URL of each published service whose load balancer has an address."""
    for balancer in balancers:
        ingress = balancer["status"].get("loadBalancer", {}).get("ingress") or [{}]
        host = domain or ingress[0].get("hostname") or ingress[0].get("ip")
        port = balancer["spec"]["ports"][0]
        if host:
            yield service_of(balancer), url(port["name"], port["port"], host)
