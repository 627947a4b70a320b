"""Traces on Kubernetes: an OpenTelemetry collector receives spans and samples traces as Jaeger does on
Docker, and Tempo keeps them."""

from typing import Any

from strata.components.exporter import PROBE_INTERVAL_SECONDS
from strata.components.observability import remote, tracing
from strata.components.observability.configuration import SECRETS
from strata.components.observability.documents import BUCKET, REGION, document, plain_document
from strata.components.observability.logs import COLLECTOR_HEALTH, EVERY_ADDRESS
from strata.config import Remote
from strata.model import (
    TMP,
    Endpoint,
    File,
    HttpProbe,
    MemoryMib,
    Monitoring,
    Port,
    Probe,
    Resources,
    Service,
    Volume,
    Zone,
)

TEMPO = 3200
"""The port of Tempo's documentation."""
FOLDER = "/var/tempo"


def trace_collector(store: Endpoint | Remote) -> Service:
    """Receives all spans, decides which traces to keep and sends those to the `store`."""
    return Service(
        name="trace-collector",
        image="otel-collector",
        zone=Zone.MONITORING,
        profiles=(tracing.PROFILE,),
        resources=Resources(memory_mib=384, cpu=0.5, cpu_reserved=0.05),
        command=(f"--config={SECRETS}/trace-collector.json",),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(
            Port(name="otlp", number=tracing.OTLP, bound=False),
            Port(name="metrics", number=tracing.METRICS, bound=False),
        ),
        probe=Probe(
            check=HttpProbe(port=COLLECTOR_HEALTH, path="/"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
        ),
        files=(
            File(
                path=f"{SECRETS}/trace-collector.json",
                content=plain_document(_collector(store)),
            ),
            *remote.authorization_files(store),
        ),
        links=remote.links(store),
        egress=isinstance(store, Remote),
        monitoring=tracing.MONITORING,
    )


def _collector(store: Endpoint | Remote) -> dict[str, Any]:
    return {
        "extensions": {"health_check": {"endpoint": f"{EVERY_ADDRESS}:{COLLECTOR_HEALTH}"}},
        "receivers": tracing.RECEIVERS,
        "processors": tracing.PROCESSORS,
        # Grafana opens the trace of a slow request from the graph of durations.
        "connectors": {
            **tracing.CONNECTORS,
            "spanmetrics": {**tracing.SPAN_METRICS, "exemplars": {"enabled": True}},
        },
        "exporters": {
            "otlp_http": remote.exporter(store),
            # Prometheus' own format has no exemplars.
            "prometheus": {**tracing.METRICS_EXPORTER, "enable_open_metrics": True},
        },
        "service": {
            "extensions": ["health_check"],
            "pipelines": tracing.pipelines("otlp_http"),
            "telemetry": tracing.telemetry("trace-collector"),
        },
    }


def trace_store(*, in_bucket: bool) -> Service:
    """Tempo in one process. `in_bucket`: it keeps blocks in its bucket, not in its volume. It has no
    login: network policies let only the collector, Grafana and Prometheus in."""
    return Service(
        name="tempo",
        image="tempo",
        zone=Zone.MONITORING,
        profiles=(tracing.PROFILE,),
        resources=Resources(memory_mib=768, cpu=1, cpu_reserved=0.1),
        command=(f"-config.file={SECRETS}/tempo.json",),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(
            Port(name="http", number=TEMPO, bound=False),
            Port(name="otlp", number=tracing.OTLP, bound=False),
        ),
        probe=Probe(
            check=HttpProbe(port=TEMPO, path="/ready"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
            start_period_seconds=60,
        ),
        volumes=(
            Volume(name="data", path=FOLDER, size_gib=5 if in_bucket else 10, cache=in_bucket),
        ),
        tmpfs=(TMP,),
        files=(File(path=f"{SECRETS}/tempo.json", content=document(_tempo(in_bucket))),),
        # It writes what it has in memory to the store.
        stop_grace_seconds=60,
        bucket=in_bucket,
        monitoring=Monitoring(),
    )


def _tempo(in_bucket: bool) -> dict[str, Any]:
    backend: dict[str, Any] = (
        {
            "backend": "s3",
            "s3": {
                "bucket": BUCKET,
                "region": REGION,
                "endpoint": f"s3.{REGION}.amazonaws.com",
            },
        }
        if in_bucket
        else {"backend": "local", "local": {"path": f"{FOLDER}/blocks"}}
    )
    return {
        "server": {"http_listen_port": TEMPO, "log_level": "warn", "log_format": "json"},
        "usage_report": {"reporting_enabled": False},
        "distributor": {
            "receivers": {
                "otlp": {"protocols": {"http": {"endpoint": f"{EVERY_ADDRESS}:{tracing.OTLP}"}}}
            }
        },
        "compactor": {"compaction": {"block_retention": f"{tracing.DAYS * 24}h"}},
        "storage": {"trace": {**backend, "wal": {"path": f"{FOLDER}/wal"}}},
    }
