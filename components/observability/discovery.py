"""What Prometheus reads in a cluster: pods by their labels, kubelets, and the states of pods.

kube-state-metrics and cAdvisor name and label their metrics differently from the container exporter on
Docker. Relabelling and recording rules give them its names and labels, so that the same alerts and
panels hold: `service`, `replica` and `instance` (the pod), `name` (the pod) and `kind`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from strata.components.observability.documents import NAMESPACE, STACK
from strata.components.observability.targets import Target
from strata.model import Workload

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
KUBELET = "kubelet"
AGENTS = f"{NAMESPACE}-agents"
"""The namespace of the stack's services that access their node: the log agent."""
STATES = "kube-state-metrics"

_NAME = "__meta_kubernetes_pod_label_app_kubernetes_io_name"
_INSTANCE = "__meta_kubernetes_pod_label_app_kubernetes_io_instance"
_COMPONENT = "__meta_kubernetes_pod_label_app_kubernetes_io_component"
_MANAGED_BY = "__meta_kubernetes_pod_label_app_kubernetes_io_managed_by"
_PORT = "__meta_kubernetes_pod_container_port_number"

# By the label with the name of the controller, which is that of its service.
REPLICAS = MappingProxyType(
    {
        "deployment": (
            "kube_deployment_spec_replicas",
            "kube_deployment_status_replicas_ready",
        ),
        "statefulset": (
            "kube_statefulset_replicas",
            "kube_statefulset_status_replicas_ready",
        ),
        "daemonset": (
            "kube_daemonset_status_desired_number_scheduled",
            "kube_daemonset_status_number_ready",
        ),
    }
)
"""The metrics of kube-state-metrics with the wanted and the ready pods of a controller."""
WANTED = "|".join(wanted for wanted, _ in REPLICAS.values())
READY = "|".join(ready for _, ready in REPLICAS.values())

POD_STATES = (
    "kube_pod_container_state_started",
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_status_ready",
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_running",
    "kube_pod_container_status_terminated",
    "kube_pod_container_status_waiting_reason",
    "kube_pod_deletion_timestamp",
    "kube_pod_labels",
    "kube_pod_status_phase",
)
UPDATES = "kube_replicaset_created"
GPUS = "kube_node_status_capacity"
USABLE_GPUS = "kube_node_status_allocatable"
STATE_METRICS = (*POD_STATES, UPDATES, *(name for pair in REPLICAS.values() for name in pair))
"""All that alerts and panels use of kube-state-metrics, but for nodes."""
NODE_METRICS = (GPUS, USABLE_GPUS)
"""What they use of nodes with GPUs: kubelet counts a GPU as usable if its device plugin says that it is
healthy."""

CONTAINER_METRICS = (
    "container_cpu_cfs_periods_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_usage_seconds_total",
    "container_memory_working_set_bytes",
    "container_spec_cpu_period",
    "container_spec_cpu_quota",
    "container_spec_memory_limit_bytes",
)
"""All that alerts and panels use of cAdvisor, which already has the right names."""

VOLUME_METRICS = MappingProxyType(
    {
        "kubelet_volume_stats_available_bytes": "node_filesystem_avail_bytes",
        "kubelet_volume_stats_capacity_bytes": "node_filesystem_size_bytes",
        "kubelet_volume_stats_inodes": "node_filesystem_files",
        "kubelet_volume_stats_inodes_free": "node_filesystem_files_free",
    }
)
"""Volumes get the names that the alerts for disks use."""

# A pod that is deleted stops, and its controller replaces one that was evicted.
_LEAVING = '(kube_pod_deletion_timestamp or kube_pod_status_phase{phase=~"Failed|Succeeded"} == 1)'
_RESTARTS = "kube_pod_container_status_restarts_total"
_OUT_OF_MEMORY = (
    "max without (reason)"
    ' (kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1)'
)

RECORDED: Mapping[str, str] = MappingProxyType(
    {
        # A container that isn't created yet is neither running nor stopped: ReplicasMissing reports one
        # that stays so.
        "container_running": "(kube_pod_container_status_running == 1"
        " or 0 * (kube_pod_container_status_terminated == 1)"
        " or 0 * max without (reason) (kube_pod_container_status_waiting_reason"
        '{reason!~"ContainerCreating|PodInitializing"} == 1))'
        f" unless on (name) {_LEAVING}",
        "container_health_state": f"kube_pod_container_status_ready unless on (name) {_LEAVING}",
        "container_start_time_seconds": "kube_pod_container_state_started",
        # An update that changes the pods of a Deployment creates a ReplicaSet. Nothing else does.
        "strata_last_update_timestamp_seconds": f"max({UPDATES})",
        "container_restarts_total": _RESTARTS,
        # Rises with a restart that follows an out-of-memory kill, and only then. cAdvisor's own count
        # ends with the container.
        "container_oom_events_total": f"{_RESTARTS} * ({_OUT_OF_MEMORY} or 0 * {_RESTARTS})",
    }
)
"""The container exporter's metrics, by the states of pods."""


def jobs(
    targets: Iterable[Target], workloads: Iterable[Workload], claims: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """The jobs that scrape pods of the stack, and what kubelets and kube-state-metrics say of
    `workloads`. `claims`: the services with volumes, by the name of the claim without its ordinal."""
    every = tuple(targets)
    states = tuple(target for target in every if target.service == STATES)
    kinds: dict[str, list[str]] = defaultdict(list)
    for workload in workloads:
        kinds[str(workload.kind)].append(workload.name)
    secured = tuple(target for target in every if target.endpoint.mutual_tls)
    yield _pods_job("pods", tuple(each for each in every if each not in {*states, *secured}))
    for target in secured:
        yield {**_pods_job(target.job, (target,)), **target.tls}
    yield {**_pods_job(STATES, states), "metric_relabel_configs": _states(kinds)}
    yield _kubelet_job("containers", "/metrics/cadvisor", _containers(kinds))
    yield _kubelet_job("volumes", "/metrics", _volumes(claims))


def _states(kinds: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    controllers = list(REPLICAS)
    return [
        _keep(
            ["__name__", "resource"], f"{_any(STATE_METRICS)};.*|{_any(NODE_METRICS)};nvidia_com_.+"
        ),
        # kube-state-metrics itself is in `instance` and `service`.
        _replace(["container"], "(.+)", "service", "$1"),
        _replace(["label_app_kubernetes_io_name"], "(.+)", "service", "$1"),
        *(_replace([name], "(.+)", "service", "$1") for name in controllers),
        *_kinds(kinds),
        *_pod_labels(),
        {
            "action": "labeldrop",
            "regex": f"container|pod|uid|namespace|label_.*|{'|'.join(controllers)}",
        },
    ]


def _containers(kinds: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    return [
        _keep(["__name__"], _any(CONTAINER_METRICS)),
        # A pod as a whole has no container.
        _keep(["namespace", "container"], f"({NAMESPACE}|{AGENTS});.+"),
        _replace(["container"], "(.+)", "service", "$1"),
        *_kinds(kinds),
        *_pod_labels(),
        # `id` differs between a container and the next one of its pod.
        {"action": "labeldrop", "regex": "container|pod|namespace|image"},
    ]


def _volumes(claims: Mapping[str, str]) -> list[dict[str, Any]]:
    claim = "persistentvolumeclaim"
    return [
        _keep(["__name__"], _any(VOLUME_METRICS)),
        _keep(["namespace", claim], f"{NAMESPACE};{_any(claims)}-[0-9]+"),
        *(_replace([claim], f"{name}-[0-9]+", "service", claims[name]) for name in claims),
        # A volume may be mounted on another node later.
        *(_replace([claim], "(.+)", label, "$1") for label in ("device", "instance")),
        *(
            _replace(["__name__"], source, "__name__", target)
            for source, target in VOLUME_METRICS.items()
        ),
        {"action": "labeldrop", "regex": f"{claim}|namespace"},
    ]


def annotated() -> dict[str, Any]:
    """The job that scrapes the cluster's own pods of this stack that ask for it (EKS)."""
    annotation = "__meta_kubernetes_pod_annotation_prometheus_io"
    return {
        "job_name": "cluster",
        # An exporter of GPUs names the pods that use them.
        "honor_labels": True,
        "kubernetes_sd_configs": [{"role": "pod"}],
        "relabel_configs": [
            _keep([_MANAGED_BY, _INSTANCE, _COMPONENT], f"strata;{STACK};cluster"),
            _keep([f"{annotation}_scrape", "__meta_kubernetes_pod_phase"], "true;Running"),
            # One target for each pod, whatever its ports.
            _keep(["__meta_kubernetes_pod_container_init"], "false"),
            _replace(
                ["__meta_kubernetes_pod_ip", f"{annotation}_port"],
                "(.+);(.+)",
                "__address__",
                "$1:$2",
            ),
            _replace([_NAME], "(.+)", "service", "$1"),
            _replace(["__meta_kubernetes_pod_name"], "(.+)", "instance", "$1"),
        ],
    }


def _pods_job(name: str, targets: Collection[Target]) -> dict[str, Any]:
    return {
        "job_name": name,
        "honor_labels": True,
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [NAMESPACE, AGENTS]}}],
        "relabel_configs": [
            _keep([_INSTANCE], STACK),
            _keep(
                [_NAME, _PORT],
                "|".join(f"{one.endpoint.service};{one.endpoint.number}" for one in targets),
            ),
            {
                "source_labels": ["__meta_kubernetes_pod_phase"],
                "regex": "Succeeded|Failed",
                "action": "drop",
            },
            _replace([_NAME], "(.+)", "service", "$1"),
            # An exporter reports of another service.
            *(
                _replace([_NAME], one.endpoint.service, "service", one.service)
                for one in targets
                if one.service != one.endpoint.service
            ),
            _replace(["__meta_kubernetes_pod_name"], "(.+)", "instance", "$1"),
            *(
                _replace([_NAME], one.endpoint.service, "__metrics_path__", one.path)
                for one in targets
                if one.path != "/metrics"
            ),
        ],
    }


def _kubelet_job(name: str, path: str, relabelling: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "job_name": name,
        "scheme": "https",
        "metrics_path": path,
        "authorization": {"credentials_file": f"{TOKEN}/token"},
        "tls_config": {"ca_file": f"{TOKEN}/ca.crt"},
        # cAdvisor states when it read a value, which otherwise outlives its container by 5 minutes.
        "track_timestamps_staleness": True,
        "kubernetes_sd_configs": [{"role": "node"}],
        "relabel_configs": [
            {"target_label": "service", "replacement": KUBELET},
            _replace(["__meta_kubernetes_node_name"], "(.+)", "instance", "$1"),
        ],
        "metric_relabel_configs": relabelling,
    }


def _kinds(kinds: Mapping[str, list[str]]) -> Iterator[dict[str, Any]]:
    for kind, names in kinds.items():
        yield _replace(["container"], _any(names), "kind", kind)


def _pod_labels() -> Iterator[dict[str, Any]]:
    for label in ("replica", "instance", "name"):
        yield _replace(["pod"], "(.+)", label, "$1")


def _any(names: Iterable[str]) -> str:
    return f"({'|'.join(sorted(names))})"


def _keep(sources: list[str], regex: str) -> dict[str, Any]:
    return {"source_labels": sources, "regex": regex, "action": "keep"}


def _replace(sources: list[str], regex: str, target: str, replacement: str) -> dict[str, Any]:
    return {
        "source_labels": sources,
        "regex": regex,
        "target_label": target,
        "replacement": replacement,
    }
