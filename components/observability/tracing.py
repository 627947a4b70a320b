"""The trace store: Jaeger, which receives spans, keeps whole traces of interest, and derives metrics
from all spans."""

from typing import Any

from strata.components.observability import remote
from strata.components.observability.configuration import SECRETS, USER
from strata.components.observability.documents import plain_document
from strata.config import Remote
from strata.model import (
    Alert,
    File,
    HttpProbe,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Unit,
    Volume,
    Zone,
)

ENDPOINT_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where OpenTelemetry SDKs of all languages send spans."""
PROFILE = "traces"

OTLP = 4318
QUERY = 16686
METRICS = 8889
HEALTH = 13133
FOLDER = "/jaeger-data"
DAYS = 3

# A trace is decided upon this long after its first span: about as long as a document takes.
DECISION_SECONDS = 10
# Traces in memory until then: 1,000 new ones per second. Above that, the oldest are dropped.
TRACES_WAITING = 10_000
SLOW_MS = 1000
# As long as fewer spans than this arrive, every trace is kept.
SPANS_PER_SECOND_KEPT = 50
PERCENT_KEPT = 10

CALLS = (
    'traces_span_metrics_calls_total{service="$service",span_kind=~"SPAN_KIND_(SERVER|CONSUMER)"'
)

MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="TracesDropped",
            # One sum over both: either can be missing before its first span.
            expression='sum by (service) (rate({__name__=~"otelcol_receiver_refused_spans_total'
            '|otelcol_exporter_send_failed_spans_total",service="$service"}[5m])) > 0',
            summary="$service drops {{ $value | humanize }} spans per second",
            for_seconds=300,
        ),
    ),
    panels=(
        Panel(
            title="Requests and messages",
            expressions={
                "{{service_name}} {{span_name}}": "sum by (service_name, span_name)"
                f" (rate({CALLS}}}[5m]))"
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Failed requests and messages",
            expressions={
                "{{service_name}} {{span_name}}": "sum by (service_name, span_name)"
                f' (rate({CALLS},status_code="STATUS_CODE_ERROR"}}[5m]))'
            },
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Duration of each part, 95th percentile",
            expressions={
                "{{service_name}} {{span_name}}": "histogram_quantile(0.95,"
                " sum by (le, service_name, span_name) (rate("
                'traces_span_metrics_duration_milliseconds_bucket{service="$service"}[5m])))'
                " / 1000"
            },
            unit=Unit.SECONDS,
        ),
        Panel(
            title="Spans",
            expressions={
                "received": "sum(rate("
                'otelcol_receiver_accepted_spans_total{service="$service"}[5m]))',
                "kept": 'sum(rate(otelcol_exporter_sent_spans_total{service="$service"}[5m]))',
            },
            unit=Unit.PER_SECOND,
        ),
    ),
)

RECEIVERS = {"otlp": {"protocols": {"http": {"endpoint": f":{OTLP}"}}}}
SPAN_METRICS = {
    "metrics_flush_interval": "15s",
    # The replicas of a service are counted together.
    "resource_metrics_key_attributes": ["service.name"],
}
CONNECTORS: dict[str, Any] = {"forward": {}, "spanmetrics": SPAN_METRICS}
MEMORY_LIMITER = {
    "check_interval": "1s",
    "limit_percentage": 80,
    "spike_limit_percentage": 20,
}
PROCESSORS = {
    "memory_limiter": MEMORY_LIMITER,
    "tail_sampling": {
        "decision_wait": f"{DECISION_SECONDS}s",
        "num_traces": TRACES_WAITING,
        # The spans that arrive later follow the decision.
        "decision_cache": {
            "sampled_cache_size": TRACES_WAITING,
            "non_sampled_cache_size": TRACES_WAITING,
        },
        # One policy that keeps a trace is enough.
        "policies": [
            {
                "name": "failed",
                "type": "status_code",
                "status_code": {"status_codes": ["ERROR"]},
            },
            {"name": "slow", "type": "latency", "latency": {"threshold_ms": SLOW_MS}},
            {
                "name": "while-few",
                "type": "rate_limiting",
                "rate_limiting": {"spans_per_second": SPANS_PER_SECOND_KEPT},
            },
            {
                "name": "share",
                "type": "probabilistic",
                "probabilistic": {"sampling_percentage": PERCENT_KEPT},
            },
        ],
    },
    "batch": {},
}
METRICS_EXPORTER: dict[str, Any] = {"endpoint": f":{METRICS}"}


def pipelines(store: str) -> dict[str, Any]:
    """Metrics are derived from all spans; the exporter `store` gets whole traces of interest."""
    return {
        "traces": {
            "receivers": ["otlp"],
            "processors": ["memory_limiter"],
            "exporters": ["spanmetrics", "forward"],
        },
        "traces/kept": {
            "receivers": ["forward"],
            "processors": ["tail_sampling", "batch"],
            "exporters": [store],
        },
        "metrics": {"receivers": ["spanmetrics", "otlp"], "exporters": ["prometheus"]},
    }


def telemetry(service: str) -> dict[str, Any]:
    """What a collector reports about itself. Its own metrics go the way of the others, so that one port has
    all."""
    return {
        # Prometheus names the instance.
        "resource": {"service.name": service, "service.instance.id": None},
        "logs": {"level": "warn", "encoding": "json"},
        "metrics": {
            "readers": [
                {
                    "periodic": {
                        "interval": 15_000,
                        "exporter": {
                            "otlp": {
                                "protocol": "http/protobuf",
                                "endpoint": f"http://127.0.0.1:{OTLP}",
                            }
                        },
                    }
                }
            ]
        },
    }


_HEALTH = {"healthcheckv2": {"use_v2": True, "http": {"endpoint": f"127.0.0.1:{HEALTH}"}}}
_STORE = {
    "extensions": {
        **_HEALTH,
        "basicauth": {"htpasswd": {"file": f"{SECRETS}/htpasswd"}},
        "jaeger_storage": {
            "backends": {
                "disk": {
                    "badger": {
                        "directories": {"keys": f"{FOLDER}/keys", "values": f"{FOLDER}/values"},
                        "ephemeral": False,
                        "ttl": {"spans": f"{DAYS * 24}h"},
                    }
                }
            }
        },
        "jaeger_query": {
            "storage": {"traces": "disk"},
            # Its own requests.
            "enable_tracing": False,
            "http": {"endpoint": f":{QUERY}", "auth": {"authenticator": "basicauth"}},
            # It can't be disabled.
            "grpc": {"endpoint": "127.0.0.1:16685"},
        },
    },
    "receivers": RECEIVERS,
    "processors": PROCESSORS,
    "connectors": CONNECTORS,
    "exporters": {
        "jaeger_storage_exporter": {"trace_storage": "disk"},
        "prometheus": METRICS_EXPORTER,
    },
    "service": {
        "extensions": ["healthcheckv2", "basicauth", "jaeger_storage", "jaeger_query"],
        "pipelines": pipelines("jaeger_storage_exporter"),
        "telemetry": telemetry("jaeger"),
    },
}


def _to(outside: Remote) -> dict[str, Any]:
    return {
        "extensions": _HEALTH,
        "receivers": RECEIVERS,
        "processors": PROCESSORS,
        "connectors": CONNECTORS,
        "exporters": {"otlphttp": remote.exporter(outside), "prometheus": METRICS_EXPORTER},
        "service": {
            "extensions": ["healthcheckv2"],
            "pipelines": pipelines("otlphttp"),
            "telemetry": telemetry("jaeger"),
        },
    }


def trace_store(password: Secret, published: int, outside: Remote | None) -> Service:
    """Keeps traces for three days, or sends them to an `outside` store. It's part of a stack only with
    the profile `traces`.

    With 2,700 spans per second it used 139 MiB; with 16,000, of which it dropped most, 189 MiB.
    """
    return Service(
        name="jaeger",
        image="jaeger",
        zone=Zone.MONITORING,
        profiles=(PROFILE,),
        resources=Resources(memory_mib=384, cpu=0.5, cpu_reserved=0.05),
        command=(f"--config={SECRETS}/jaeger.json",),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(
            *(
                (Port(name="http", number=QUERY, published=published, bound=False),)
                if outside is None
                else ()
            ),
            Port(name="otlp", number=OTLP, bound=False),
            Port(name="metrics", number=METRICS, bound=False),
        ),
        probe=Probe(check=HttpProbe(port=HEALTH, path="/status")),
        volumes=(Volume(name="data", path=FOLDER, size_gib=5),) if outside is None else (),
        files=(
            File(
                path=f"{SECRETS}/jaeger.json",
                content=plain_document(_STORE if outside is None else _to(outside)),
            ),
            File(path=f"{SECRETS}/htpasswd", content=(f"{USER}:", password, "\n")),
            *remote.authorization_files(outside),
        ),
        egress=outside is not None,
        monitoring=MONITORING,
    )
