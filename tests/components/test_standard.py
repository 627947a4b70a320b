"""The standard set on Kubernetes and EKS: what Prometheus finds, and how metrics are named."""

import re

import pytest

from strata.components.observability import discovery
from strata.components.observability.alerts import OF_A_CLUSTER, OF_THE_STACK
from strata.components.observability.panels import CONTAINERS, OBSERVABILITY_IN_A_CLUSTER, OVERVIEW
from strata.config import Settings
from strata.model import HttpProbe, Service
from strata.platforms.kubernetes.names import COMPONENT, INSTANCE, MANAGED_BY, NAME
from tests.components.standard import described, file, filled_in, jobs, reference_on
from tests.relabel import relabel, relabel_series

EVERYWHERE = {
    "alertmanager",
    "blackbox-exporter",
    "grafana",
    "kube-state-metrics",
    "log-agent",
    "loki",
    "node-exporter",
    "prometheus",
}
TRACES = {"tempo", "trace-collector"}
APPLICATION = {"api", "gateway", "inference", "postgres", "rabbitmq", "redis", "worker"}
EXPORTERS = {"postgres-exporter", "redis-exporter"}
STATES = {
    "service": "kube-state-metrics",
    "instance": "kube-state-metrics-1",
    "job": "kube-state-metrics",
}
NODE = {"service": "kubelet", "instance": "node-1", "job": "containers"}


def meta(name: str) -> str:
    return f"__meta_kubernetes_pod_{re.sub(r'[^a-z0-9]', '_', name)}"


def pod(service: Service, number: int | None, **changed: str) -> dict[str, str]:
    """The labels of a discovered pod, before relabelling."""
    return {
        "__address__": f"10.0.0.7:{number}" if number else "10.0.0.7",
        "__metrics_path__": "/metrics",
        meta("name"): f"{service.name}-0",
        meta("phase"): "Running",
        meta("container_init"): "false",
        meta("container_port_number"): str(number or ""),
        meta(f"label_{NAME}"): service.name,
        meta(f"label_{INSTANCE}"): "test",
        meta(f"label_{MANAGED_BY}"): "strata",
        meta(f"label_{COMPONENT}"): str(service.kind),
        **changed,
    }


def discovered(services: dict[str, Service]) -> dict[str, tuple[str, str, str]]:
    """Service, address and path of every target that Prometheus would read of these pods, by pod."""
    found = {}
    for name in ("pods", "kube-state-metrics"):
        for service in services.values():
            # A pod has a target for each port, and one for an init container without ports.
            numbers: list[int | None] = [port.number for port in service.ports]
            for number in numbers or [None]:
                labels = relabel(pod(service, number), jobs(services)[name]["relabel_configs"])
                if labels is not None:
                    assert labels["instance"] not in found, "two ports of one pod"
                    found[labels["instance"]] = (
                        labels["service"],
                        labels["__address__"],
                        labels["__metrics_path__"],
                    )
    return found


@pytest.mark.parametrize("platform", ["kubernetes", "eks"])
def test_a_cluster_has_the_standard_set(platform: str) -> None:
    own = EVERYWHERE | ({"mimir"} if platform == "eks" else set())
    assert set(reference_on(platform)) == APPLICATION | EXPORTERS | own
    assert set(reference_on(platform, "traces")) == APPLICATION | EXPORTERS | own | TRACES


@pytest.mark.parametrize("platform", ["kubernetes", "eks"])
def test_prometheus_finds_exactly_what_has_metrics(platform: str) -> None:
    services = reference_on(platform, "traces")
    exporters = {one.exporter.name for one in services.values() if one.exporter is not None}
    expected = {}
    for service in services.values():
        if service.monitoring is not None and service.name not in exporters:
            server = service.exporter or service
            number = server.endpoint(service.monitoring.port).number
            expected[f"{server.name}-0"] = (
                service.name,
                f"10.0.0.7:{number}",
                service.monitoring.path,
            )
    assert discovered(services) == expected
    # Grafana's metrics have no login, and Prometheus reads itself.
    assert set(services) - {name.removesuffix("-0") for name in expected} == {
        *("postgres", "redis"),
        *("grafana", "prometheus"),
    }


def test_prometheus_ignores_other_stacks_other_ports_and_pods_that_ended() -> None:
    services = reference_on("kubernetes")
    rules = jobs(services)["pods"]["relabel_configs"]
    api = services["api"]
    assert relabel(pod(api, 8000), rules) is not None
    assert relabel(pod(api, 8000, **{meta(f"label_{INSTANCE}"): "other"}), rules) is None
    assert relabel(pod(api, 8000, **{meta("phase"): "Succeeded"}), rules) is None
    assert relabel(pod(api, 8001), rules) is None


def test_prometheus_may_connect_to_every_target() -> None:
    services = reference_on("eks", "traces")
    linked = {(link.service, link.number) for link in services["prometheus"].links}
    addresses = {
        (name.removesuffix("-0"), int(address.rpartition(":")[2]))
        for name, (_, address, _) in discovered(services).items()
    }
    assert linked == addresses


def test_the_clusters_own_pods_are_read_on_eks_if_they_ask_for_it() -> None:
    services = reference_on("eks")
    asks = {
        meta("annotation_prometheus.io/scrape"): "true",
        meta("annotation_prometheus.io/port"): "9400",
        meta(f"label_{COMPONENT}"): "cluster",
        meta(f"label_{NAME}"): "dcgm-exporter",
        meta("ip"): "10.0.0.7",
    }
    rules = jobs(services)["cluster"]["relabel_configs"]
    found = relabel(pod(services["api"], None, **asks), rules)
    assert found is not None
    assert (found["service"], found["__address__"]) == ("dcgm-exporter", "10.0.0.7:9400")
    silent = {**asks, meta("annotation_prometheus.io/scrape"): ""}
    assert relabel(pod(services["api"], None, **silent), rules) is None
    assert "cluster" not in jobs(reference_on("kubernetes"))


def test_the_states_of_pods_get_the_labels_of_the_rules() -> None:
    rules = jobs(reference_on("kubernetes"))["kube-state-metrics"]["metric_relabel_configs"]
    of_pod = 'namespace="strata-test", pod="api-7d9f-x2x4z", uid="1"'
    own = (
        'instance="api-7d9f-x2x4z", job="kube-state-metrics", kind="application",'
        ' name="api-7d9f-x2x4z", replica="api-7d9f-x2x4z", service="api"'
    )
    assert (
        relabel_series(
            f'kube_pod_container_status_running{{{of_pod}, container="api"}}', STATES, rules
        )
        == f"kube_pod_container_status_running{{{own}}}"
    )
    without_kind = own.replace('kind="application", ', "").replace(' kind="application",', "")
    assert (
        relabel_series(
            f'kube_pod_labels{{{of_pod}, label_app_kubernetes_io_name="api"}}', STATES, rules
        )
        == f"kube_pod_labels{{{without_kind}}}"
    )
    assert (
        relabel_series(
            'kube_deployment_spec_replicas{namespace="strata-test", deployment="api"}',
            STATES,
            rules,
        )
        == 'kube_deployment_spec_replicas{instance="kube-state-metrics-1",'
        ' job="kube-state-metrics", service="api"}'
    )
    assert relabel_series(f"kube_pod_info{{{of_pod}}}", STATES, rules) is None
    capacity = 'kube_node_status_capacity{node="gpu-1", resource="nvidia_com_gpu", unit="integer"}'
    assert relabel_series(capacity, STATES, rules) == (
        'kube_node_status_capacity{instance="kube-state-metrics-1", job="kube-state-metrics",'
        ' node="gpu-1", resource="nvidia_com_gpu", service="kube-state-metrics", unit="integer"}'
    )
    memory = capacity.replace("nvidia_com_gpu", "memory")
    assert relabel_series(memory, STATES, rules) is None


def test_containers_of_the_stack_get_the_labels_of_the_rules_and_no_others_are_kept() -> None:
    rules = jobs(reference_on("kubernetes"))["containers"]["metric_relabel_configs"]
    labels = (
        'container="worker", id="/kubepods/1", image="app", name="0123", namespace="strata-test",'
        ' pod="worker-1"'
    )
    metric = "container_memory_working_set_bytes"
    assert relabel_series(f"{metric}{{{labels}}}", NODE, rules) == (
        f'{metric}{{id="/kubepods/1", instance="worker-1", job="containers", kind="application",'
        ' name="worker-1", replica="worker-1", service="worker"}'
    )
    for other in (
        labels.replace("strata-test", "kube-system"),
        labels.replace('container="worker"', 'container=""'),
    ):
        assert relabel_series(f"{metric}{{{other}}}", NODE, rules) is None
    assert relabel_series(f"container_fs_reads_total{{{labels}}}", NODE, rules) is None


def test_volumes_are_disks_of_their_service() -> None:
    services = reference_on("kubernetes")
    rules = jobs(services)["volumes"]["metric_relabel_configs"]
    claim = 'namespace="strata-test", persistentvolumeclaim="data-postgres-0"'
    assert relabel_series(f"kubelet_volume_stats_available_bytes{{{claim}}}", NODE, rules) == (
        'node_filesystem_avail_bytes{device="data-postgres-0", instance="data-postgres-0",'
        ' job="containers", service="postgres"}'
    )
    other = claim.replace("data-postgres-0", "data-other-0")
    assert relabel_series(f"kubelet_volume_stats_inodes{{{other}}}", NODE, rules) is None


def test_every_metric_of_a_container_that_rules_and_panels_use_is_kept() -> None:
    expressions = [alert.expression for alert in (*OF_THE_STACK, *OF_A_CLUSTER)]
    expressions += [
        expression
        for panel in (*OVERVIEW, *CONTAINERS, *OBSERVABILITY_IN_A_CLUSTER)
        for expression in panel.expressions.values()
    ]
    used = set(re.findall(r"\b(?:container|kube)_[a-z_]+[a-z]\b(?!=)", " ".join(expressions)))
    read = {*discovery.CONTAINER_METRICS, *discovery.STATE_METRICS, *discovery.NODE_METRICS}
    assert used - {*read, *discovery.RECORDED} == set()
    used |= set(re.findall(r"\bkube_[a-z_]+[a-z]\b", " ".join(discovery.RECORDED.values())))
    assert read - used == set()


def test_access_to_the_api_is_what_each_part_needs() -> None:
    access = {
        name: {
            (one.group, resource, one.verbs, one.cluster_wide)
            for one in service.api_access
            for resource in one.resources
        }
        for name, service in reference_on("kubernetes", "traces").items()
        if service.api_access
    }
    read, watch = ("get", "list", "watch"), ("list", "watch")
    assert access == {
        "prometheus": {
            ("", "nodes", read, True),
            ("", "nodes/metrics", ("get",), True),
            ("", "pods", read, False),
        },
        "kube-state-metrics": {
            ("", "nodes", watch, True),
            ("", "pods", watch, False),
            ("apps", "deployments", watch, False),
            ("apps", "statefulsets", watch, False),
            ("apps", "daemonsets", watch, False),
            ("apps", "replicasets", watch, False),
        },
    }


def test_without_gpus_the_states_of_nodes_are_not_read() -> None:
    off = described(Settings.model_validate({"platform": "kubernetes", "gpu": {"mode": "off"}}))
    access = off["kube-state-metrics"].api_access
    assert access
    assert not any(one.cluster_wide for one in access)


def test_only_stores_on_eks_have_buckets() -> None:
    def buckets(platform: str) -> set[str]:
        return {name for name, one in reference_on(platform, "traces").items() if one.bucket}

    assert buckets("kubernetes") == set()
    assert buckets("eks") == {"loki", "mimir", "tempo"}


def test_no_image_of_upstream_needs_a_shell_for_its_probe() -> None:
    for name, service in reference_on("eks", "traces").items():
        if name not in APPLICATION:
            assert isinstance(service.probe.check, HttpProbe), name


def test_the_agent_reads_the_logs_of_the_stacks_namespace_only() -> None:
    agent = reference_on("eks")["log-agent"]
    configuration = file(agent, "log-agent.json")
    assert configuration["receivers"]["file_log"]["include"] == [
        "/var/log/pods/strata-test_*/*/*.log"
    ]
    assert agent.on_every_node
    assert not agent.api_access
    assert not agent.capabilities


def test_metrics_go_to_mimir_on_eks_and_stay_in_prometheus_elsewhere() -> None:
    def prometheus(platform: str) -> tuple[list[str], list[str]]:
        service = reference_on(platform)["prometheus"]
        written = file(service, "prometheus.json").get("remote_write", [])
        flags = [filled_in(text) for text in service.command]
        return [one["url"] for one in written], [one for one in flags if "retention" in one]

    assert prometheus("eks") == (
        ["http://mimir:9009/api/v1/push"],
        ["--storage.tsdb.retention.time=4d", "--storage.tsdb.retention.size=3840MB"],
    )
    assert prometheus("kubernetes") == (
        [],
        ["--storage.tsdb.retention.time=15d", "--storage.tsdb.retention.size=15360MB"],
    )
