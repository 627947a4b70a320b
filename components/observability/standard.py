"""The standard set, on Kubernetes and EKS: upstream's images, which Prometheus finds by the API."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from strata.components.exporter import PROBE_INTERVAL_SECONDS
from strata.components.mutual_tls import tls_files
from strata.components.observability import (
    alerts,
    configuration,
    discovery,
    parts,
    remote,
    trace_gateway,
)
from strata.components.observability.configuration import SECRETS
from strata.components.observability.dashboards import dashboard_files
from strata.components.observability.documents import BUCKET, REGION, document
from strata.components.observability.gpu import GPU, LOST
from strata.components.observability.grafana import DASHBOARDS, grafana
from strata.components.observability.logs import log_agent, log_store
from strata.components.observability.pages import Page, pages
from strata.components.observability.panels import OBSERVABILITY_IN_A_CLUSTER
from strata.components.observability.targets import published, targets
from strata.config import ObservabilitySettings, PlatformName, Settings
from strata.model import (
    SERVICE,
    TMP,
    Alert,
    ApiAccess,
    Composition,
    Endpoint,
    File,
    GpuMode,
    HttpProbe,
    MemoryMib,
    Monitoring,
    Namespace,
    Port,
    Probe,
    Resources,
    Service,
    Text,
    Volume,
    Workload,
    Zone,
)

MIMIR = 9009
"""The port of Mimir's documentation."""
MIMIR_FOLDER = "/data"
KUBE_STATE_METRICS = 8080
KUBE_STATE_METRICS_HEALTH = 8081
"""The program's defaults."""
DCGM_EXPORTER = "dcgm-exporter"
"""The cluster's own exporter of GPUs, on EKS."""

PROMETHEUS_GIB = 20
"""At 1 to 2 bytes a sample (Prometheus documentation, "Storage"), 15 days of 50,000 series read every
10 seconds take 6 to 13 GB."""
PROMETHEUS_GIB_WITH_MIMIR = 5
"""For four days: the longest window of an alert is three."""


def describe(composition: Composition, settings: Settings) -> Iterator[Workload]:
    """The services that observe those of the composition, and themselves."""
    on_eks = settings.platform is PlatformName.EKS
    observability, observed = settings.observability, composition.services
    loki = tuple(_log_store(settings))
    tempo, collector = tuple(_trace_store(settings)), trace_collector(settings)
    optional = (*tempo, collector) if composition.overrides.includes(collector) else ()
    mimir = tuple(_long_term_metrics(settings))
    receiver = parts.alertmanager(observability.receivers)
    probes = tuple(published(observed))
    blackbox = parts.blackbox(tuple(endpoint for endpoint, _ in probes))
    own: list[Service] = [
        receiver,
        *loki,
        *_log_agent(settings, loki),
        kube_state_metrics(nodes=_has_gpus(settings, observed)),
        # AWS Backup keeps its own records.
        parts.node_exporter(records=False),
        blackbox,
        *mimir,
    ]
    scraped = tuple(targets([*observed, *own, *optional]))
    # Without its configuration, which follows from all others.
    store = prometheus(settings, (), "", (), on_eks=on_eks)
    shown = (
        *pages(
            (*observed, *optional[-1:]),
            {link.server for link in composition.links},
            OBSERVABILITY_IN_A_CLUSTER,
        ),
        *((_gpu_page(),) if _has_dcgm_exporter(settings) else ()),
    )
    dashboards = (
        [
            grafana(
                settings,
                dashboard_files(shown, DASHBOARDS, logs=bool(loki)),
                metrics=(mimir[0] if mimir else store).endpoint("http"),
                metrics_path="/prometheus" if mimir else "",
                logs=next((each.endpoint("http") for each in loki), None),
                traces=next((each.endpoint("http") for each in tempo), None),
            )
        ]
        if observability.dashboards
        else []
    )
    exporters = [service.exporter for service in observed if service.exporter is not None]
    everything: list[Workload] = [
        *composition.workloads,
        *exporters,
        *own,
        *optional,
        store,
        *dashboards,
    ]
    content = configuration.prometheus(
        settings.observability,
        settings.system,
        (
            *discovery.jobs(scraped, everything, _claims(everything)),
            *((discovery.annotated(),) if on_eks else ()),
        ),
        probes,
        alertmanager=receiver.endpoint("http"),
        blackbox=blackbox.endpoint("metrics"),
        remote_write=[
            *(
                {"url": f"{each.endpoint('http').url}/api/v1/push", "send_exemplars": True}
                for each in mimir
            ),
            *(remote.remote_write(each) for each in (observability.remote_write,) if each),
        ],
        own_address=f"127.0.0.1:{parts.PROMETHEUS}",
        instance="prometheus-0",
    )
    rules = configuration.rules(
        _alerts(settings, [*observed, *own, *optional]),
        recorded={**discovery.RECORDED, **configuration.prices(observability)},
    )
    links = tuple(dict.fromkeys(target.endpoint for target in scraped))
    yield from exporters
    # Without their profile, the composition leaves the services for traces out.
    yield from (*own, *tempo, collector, *dashboards)
    yield prometheus(settings, content, rules, links, on_eks=on_eks)


def trace_collector(settings: Settings) -> Service:
    """What receives spans. It has a profile."""
    stores = (each.endpoint("otlp") for each in _trace_store(settings))
    return trace_gateway.trace_collector(settings.observability.otlp or next(stores))


def _trace_store(settings: Settings) -> Iterator[Service]:
    if settings.observability.otlp is None:
        yield trace_gateway.trace_store(in_bucket=settings.platform is PlatformName.EKS)


def _log_store(settings: Settings) -> Iterator[Service]:
    observability = settings.observability
    if observability.logs and observability.loki is None:
        yield log_store(observability, in_bucket=settings.platform is PlatformName.EKS)


def _log_agent(settings: Settings, stores: Iterable[Service]) -> Iterator[Service]:
    if settings.observability.logs:
        endpoints = (each.endpoint("http") for each in stores)
        yield log_agent(settings.observability.loki or next(endpoints), settings.system)


def _long_term_metrics(settings: Settings) -> Iterator[Service]:
    if settings.platform is PlatformName.EKS and settings.observability.remote_write is None:
        yield long_term_metrics(settings.observability)


def prometheus(
    settings: Settings, content: Text, rules: str, links: tuple[Endpoint, ...], *, on_eks: bool
) -> Service:
    """Scrapes all targets and evaluates the alerts. On EKS it passes samples on to Mimir, and keeps
    them itself only as long as alerts need them."""
    days = 4 if on_eks else settings.observability.metrics_days
    size_gib = PROMETHEUS_GIB_WITH_MIMIR if on_eks else PROMETHEUS_GIB
    return Service(
        name="prometheus",
        image="prometheus",
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=1024, cpu=1, cpu_reserved=0.1),
        command=(
            f"--config.file={SECRETS}/prometheus.json",
            "--storage.tsdb.path=/prometheus",
            f"--storage.tsdb.retention.time={days}d",
            parts.FLUSH_DEADLINE,
            # The rest is for the write-ahead log and a block that is being compacted.
            f"--storage.tsdb.retention.size={size_gib * 1024 * 3 // 4}MB",
            f"--web.listen-address=0.0.0.0:{parts.PROMETHEUS}",
            "--enable-feature=exemplar-storage",
        ),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(Port(name="http", number=parts.PROMETHEUS, bound=False),),
        probe=Probe(
            check=HttpProbe(port=parts.PROMETHEUS, path="/-/ready"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
            # It replays its write-ahead log.
            start_period_seconds=120,
            ready_within_seconds=300,
        ),
        volumes=(Volume(name="data", path="/prometheus", size_gib=size_gib, cache=on_eks),),
        files=(
            File(path=f"{SECRETS}/prometheus.json", content=content),
            File(path=f"{SECRETS}/rules.json", content=rules),
            *remote.password_files(settings.observability.remote_write),
            *tls_files("prometheus", client=any(link.mutual_tls for link in links)),
        ),
        links=links,
        egress=settings.observability.remote_write is not None,
        stop_grace_seconds=60,
        api_access=(
            ApiAccess(resources=("nodes",), cluster_wide=True),
            # The metrics of kubelets.
            ApiAccess(resources=("nodes/metrics",), verbs=("get",), cluster_wide=True),
            # On EKS also those of the cluster itself.
            ApiAccess(resources=("pods",), cluster_wide=on_eks),
        ),
    )


def kube_state_metrics(*, nodes: bool) -> Service:
    """The states of the stack's pods and of their controllers, and of the nodes if they may have GPUs.
    The program asks the API for nothing else.

    Its documentation ("Resource recommendation") starts at 250 MiB and 0.1 cores, for all objects of a
    cluster of up to 100 nodes; this one watches four kinds of the stack's two namespaces.
    """
    return Service(
        name=discovery.STATES,
        image=discovery.STATES,
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=128, cpu=0.25, cpu_reserved=0.02),
        command=(
            f"--port={KUBE_STATE_METRICS}",
            f"--telemetry-port={KUBE_STATE_METRICS_HEALTH}",
            ("--namespaces=", Namespace(), ",", Namespace(), "-agents"),
            "--resources=pods,deployments,replicasets,statefulsets,daemonsets"
            f"{',nodes' if nodes else ''}",
            f"--metric-allowlist={','.join((*discovery.STATE_METRICS, *discovery.NODE_METRICS))}",
            "--metric-labels-allowlist=pods=[app.kubernetes.io/name]",
        ),
        ports=(Port(name="http", number=KUBE_STATE_METRICS, bound=False),),
        probe=Probe(
            check=HttpProbe(port=KUBE_STATE_METRICS_HEALTH, path="/readyz"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
        ),
        monitoring=Monitoring(),
        api_access=(
            ApiAccess(resources=("pods",), verbs=("list", "watch")),
            ApiAccess(
                group="apps",
                resources=("deployments", "replicasets", "statefulsets", "daemonsets"),
                verbs=("list", "watch"),
            ),
            *(
                (ApiAccess(resources=("nodes",), verbs=("list", "watch"), cluster_wide=True),)
                if nodes
                else ()
            ),
        ),
    )


def long_term_metrics(settings: ObservabilitySettings) -> Service:
    """Mimir in one process, with the blocks in its bucket. It has no login: network policies let only
    Prometheus and Grafana in. Its volume has the last hours, until they are uploaded."""
    return Service(
        name="mimir",
        image="mimir",
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=1536, cpu=1, cpu_reserved=0.1),
        command=(f"-config.file={SECRETS}/mimir.json", "-target=all"),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(Port(name="http", number=MIMIR, bound=False),),
        probe=Probe(
            check=HttpProbe(port=MIMIR, path="/ready"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
            start_period_seconds=120,
            ready_within_seconds=300,
        ),
        volumes=(Volume(name="data", path=MIMIR_FOLDER, size_gib=10),),
        tmpfs=(TMP,),
        files=(File(path=f"{SECRETS}/mimir.json", content=document(_mimir(settings))),),
        stop_grace_seconds=120,
        bucket=True,
        monitoring=Monitoring(),
    )


def _mimir(settings: ObservabilitySettings) -> dict[str, object]:
    alone = {"kvstore": {"store": "inmemory"}, "instance_addr": "127.0.0.1"}
    return {
        # One tenant.
        "multitenancy_enabled": False,
        "usage_stats": {"enabled": False},
        "server": {"http_listen_port": MIMIR, "log_level": "warn", "log_format": "json"},
        "activity_tracker": {"filepath": f"{MIMIR_FOLDER}/activity.log"},
        "common": {
            "storage": {
                "backend": "s3",
                "s3": {
                    "bucket_name": BUCKET,
                    "region": REGION,
                    "endpoint": f"s3.{REGION}.amazonaws.com",
                },
            }
        },
        "blocks_storage": {
            # Beside the rules' objects, in the same bucket.
            "storage_prefix": "blocks",
            "tsdb": {"dir": f"{MIMIR_FOLDER}/tsdb"},
            "bucket_store": {
                "sync_dir": f"{MIMIR_FOLDER}/tsdb-sync",
                # By default 1 GiB.
                "index_cache": {"inmemory": {"max_size_bytes": 128 * 1024 * 1024}},
            },
        },
        # Prometheus evaluates the rules.
        "ruler_storage": {"backend": "local", "local": {"directory": f"{MIMIR_FOLDER}/no-rules"}},
        "ruler": {"rule_path": f"{MIMIR_FOLDER}/ruler", "ring": alone},
        "compactor": {"data_dir": f"{MIMIR_FOLDER}/compactor", "sharding_ring": alone},
        "distributor": {"ring": alone},
        "ingester": {"ring": {**alone, "replication_factor": 1}},
        "store_gateway": {"sharding_ring": {**alone, "replication_factor": 1}},
        "limits": {
            "compactor_blocks_retention_period": f"{settings.metrics_days}d",
            # Twice what Prometheus' volume is sized for.
            "max_global_series_per_user": 100_000,
            # As many as Prometheus keeps (storage.exemplars.max_exemplars).
            "max_global_exemplars_per_user": 100_000,
        },
    }


def _claims(workloads: list[Workload]) -> dict[str, str]:
    return {
        f"{volume.name}-{workload.name}": workload.name
        for workload in workloads
        for volume in workload.volumes
    }


def _alerts(settings: Settings, services: list[Service]) -> Iterator[tuple[str, Alert]]:
    yield from configuration.alerts_of((*alerts.OF_THE_STACK, *alerts.OF_A_CLUSTER), services)
    if _has_dcgm_exporter(settings):
        yield from ((DCGM_EXPORTER, alert) for alert in GPU.alerts if alert is not LOST)


def _has_gpus(settings: Settings, services: Iterable[Service]) -> bool:
    """Whether a service may run on a GPU, or nodes have some."""
    requested = any(service.gpu.mode is not GpuMode.OFF for service in services)
    return requested or _has_dcgm_exporter(settings)


def _has_dcgm_exporter(settings: Settings) -> bool:
    return settings.platform is PlatformName.EKS and bool(settings.aws.gpu_nodes)


def _gpu_page() -> Page:
    return Page(
        title="GPUs",
        panels=tuple(
            replace(
                panel,
                expressions={
                    legend: expression.replace(SERVICE, DCGM_EXPORTER)
                    for legend, expression in panel.expressions.items()
                },
            )
            for panel in GPU.panels
        ),
    )
