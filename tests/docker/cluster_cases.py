"""For the alerts on containers, what kube-state-metrics says when they fire, and when they don't: as it
is scraped, before it gets the names and labels of the rules."""

from tests.docker.alert_cases import Case, Series

_OF_POD = 'namespace="strata-test", pod="api-7d9f-x2x4z", uid="1"'
POD = f"{{{_OF_POD}}}"
API = f'{{{_OF_POD}, container="api"}}'
LABELS = {"service": "api", "name": "api-7d9f-x2x4z"}
STARTED = {f"kube_pod_container_state_started{API}": "0x400"}
RUNS: Series = {
    f"kube_pod_container_status_running{API}": "1x400",
    f"kube_pod_container_status_terminated{API}": "0x400",
    f"kube_pod_container_status_ready{API}": "1x400",
    f"kube_pod_container_status_restarts_total{API}": "0x400",
    f'kube_pod_labels{{{_OF_POD}, label_app_kubernetes_io_name="api"}}': "1x400",
    f'kube_pod_status_phase{{{_OF_POD}, phase="Running"}}': "1x400",
    f'kube_pod_status_phase{{{_OF_POD}, phase="Pending"}}': "0x400",
    f'kube_pod_status_phase{{{_OF_POD}, phase="Failed"}}': "0x400",
    **STARTED,
}
DELETED = {f"kube_pod_deletion_timestamp{POD}": "_x3 90x20"}
PENDING = {
    f'kube_pod_labels{{{_OF_POD}, label_app_kubernetes_io_name="api"}}': "1x400",
    f'kube_pod_status_phase{{{_OF_POD}, phase="Pending"}}': "1x400",
}
AGENT = '{service="log-agent", instance="log-agent-x2x4z", data_type="logs", exporter="otlp_http"}'
CAPACITY = f"otelcol_exporter_queue_capacity{AGENT}"
DEPLOYMENT = '{namespace="strata-test", deployment="api"}'
GPUS = '{node="gpu-1", resource="nvidia_com_gpu", unit="integer"}'


def _waits(reason: str, values: str) -> Series:
    labels = f'{{{_OF_POD}, container="api", reason="{reason}"}}'
    return {
        **RUNS,
        f"kube_pod_container_status_running{API}": "1x3 0x20",
        f"kube_pod_container_status_ready{API}": "1x3 0x20",
        f"kube_pod_container_status_waiting_reason{labels}": values,
    }


def _killed(reason: str) -> Series:
    labels = f'{{{_OF_POD}, container="api", reason="{reason}"}}'
    return {
        **RUNS,
        f"kube_pod_container_status_restarts_total{API}": "0x3 1x20",
        f"kube_pod_container_status_last_terminated_reason{labels}": "_x3 1x20",
    }


CASES = (
    Case(
        alert="ContainerDown",
        fires=_waits("CrashLoopBackOff", "_x3 1x20"),
        quiet={
            "runs": RUNS,
            "isn't created yet": _waits("ContainerCreating", "_x3 1x20"),
            "is deleted": {**_waits("CrashLoopBackOff", "_x3 1x20"), **DELETED},
            "was evicted": {
                **RUNS,
                f"kube_pod_container_status_running{API}": "1x3 0x20",
                f"kube_pod_container_status_terminated{API}": "0x3 1x20",
                f'kube_pod_status_phase{{{_OF_POD}, phase="Failed"}}': "0x3 1x20",
            },
        },
        at="75s",
        labels=LABELS,
        summary="api-7d9f-x2x4z isn't running",
    ),
    Case(
        alert="ContainerUnhealthy",
        fires={**RUNS, f"kube_pod_container_status_ready{API}": "1x7 0x20"},
        quiet={
            "ready": RUNS,
            "starts": {
                **RUNS,
                f"kube_pod_container_status_ready{API}": "0x20",
                f"kube_pod_container_state_started{API}": "90x20",
            },
            "is deleted": {
                **RUNS,
                f"kube_pod_container_status_ready{API}": "1x7 0x20",
                **DELETED,
            },
        },
        at="2m",
        labels=LABELS,
        summary="api-7d9f-x2x4z fails its health check",
    ),
    Case(
        alert="ContainerRestarted",
        fires=_killed("Error"),
        quiet={"long ago": {**RUNS, f"kube_pod_container_status_restarts_total{API}": "7x20"}},
        at="1m",
        labels=LABELS,
        summary="a process of api-7d9f-x2x4z ended unexpectedly, and was restarted",
    ),
    Case(
        alert="ContainerOutOfMemory",
        fires=_killed("OOMKilled"),
        quiet={"ended with an error": _killed("Error"), "none": RUNS},
        at="1m",
        labels=LABELS,
        summary="the kernel killed a process of api-7d9f-x2x4z at its memory limit",
    ),
    Case(
        alert="TargetDown",
        fires={**RUNS, 'up{job="pods", service="api", instance="api-7d9f-x2x4z"}': "1x3 0x20"},
        quiet={
            "its container is down": {
                **_waits("CrashLoopBackOff", "_x3 1x20"),
                'up{job="pods", service="api", instance="api-7d9f-x2x4z"}': "1x3 0x20",
            }
        },
        at="2m",
        labels={"service": "api", "instance": "api-7d9f-x2x4z"},
        summary="the metrics of api (api-7d9f-x2x4z) can't be read",
    ),
    Case(
        alert="LogsBehind",
        fires={f"otelcol_exporter_queue_size{AGENT}": "0x3 18000x30", CAPACITY: "20000x40"},
        quiet={"sends": {f"otelcol_exporter_queue_size{AGENT}": "900x30", CAPACITY: "20000x40"}},
        at="5m",
        labels={"service": "log-agent"},
        summary="log-agent can't send logs to their store, and keeps them on disk",
    ),
    Case(
        alert="LogsLost",
        fires={'loki_discarded_samples_total{service="loki", reason="rate_limited"}': "0x3 9x20"},
        quiet={
            "an agent that restarts": {
                'loki_discarded_samples_total{service="loki", reason="too_far_behind"}': "0x3 9x20"
            }
        },
        at="1m",
        labels={"service": "loki"},
        summary="loki dropped log lines",
    ),
    Case(
        alert="PodPending",
        fires=PENDING,
        quiet={"runs": RUNS},
        at="16m",
        labels=LABELS,
        summary="api-7d9f-x2x4z waits for a node, a volume or its image",
    ),
    Case(
        alert="ReplicasMissing",
        fires={
            **RUNS,
            f"kube_deployment_spec_replicas{DEPLOYMENT}": "2x400",
            f"kube_deployment_status_replicas_ready{DEPLOYMENT}": "2x3 1x400",
        },
        quiet={
            "all are ready": {
                f"kube_deployment_spec_replicas{DEPLOYMENT}": "2x400",
                f"kube_deployment_status_replicas_ready{DEPLOYMENT}": "2x400",
            },
            "for some minutes": {
                f"kube_deployment_spec_replicas{DEPLOYMENT}": "2x400",
                f"kube_deployment_status_replicas_ready{DEPLOYMENT}": "2x40 1x20 2x400",
            },
            "one is pending": {
                **PENDING,
                f"kube_deployment_spec_replicas{DEPLOYMENT}": "2x400",
                f"kube_deployment_status_replicas_ready{DEPLOYMENT}": "1x400",
            },
        },
        at="20m",
        labels={"service": "api"},
        summary="1 replicas of api are missing or not ready",
    ),
    Case(
        alert="NodeGpuLost",
        fires={
            f"kube_node_status_capacity{GPUS}": "4x20",
            f"kube_node_status_allocatable{GPUS}": "4x3 3x20",
        },
        quiet={
            "all can be used": {
                f"kube_node_status_capacity{GPUS}": "4x20",
                f"kube_node_status_allocatable{GPUS}": "4x20",
            },
            "the device plugin restarts": {
                f"kube_node_status_capacity{GPUS}": "4x20",
                f"kube_node_status_allocatable{GPUS}": "4x3 0x2 4x20",
            },
            "a node without GPUs": {},
        },
        at="150s",
        labels={"service": "kube-state-metrics", "node": "gpu-1", "resource": "nvidia_com_gpu"},
        summary="1 of nvidia_com_gpu on gpu-1 can't be used",
    ),
)
