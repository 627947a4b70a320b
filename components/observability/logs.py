"""Logs on Kubernetes: an agent on every node reads them, and Loki keeps them."""

import math
from typing import Any

from strata.components.exporter import PROBE_INTERVAL_SECONDS
from strata.components.observability import remote
from strata.components.observability.configuration import SECRETS
from strata.components.observability.documents import BUCKET, NAMESPACE, REGION, STACK, document
from strata.components.observability.tracing import MEMORY_LIMITER
from strata.config import ObservabilitySettings, Remote
from strata.model import (
    TMP,
    Endpoint,
    File,
    HostFolder,
    HostMount,
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

LOKI = 3100
"""The program's default."""
FOLDER = "/loki"
POD_LOGS = "/var/log/pods"

COLLECTOR_HEALTH = 13133
COLLECTOR_METRICS = 8888
"""The defaults of the OpenTelemetry collector."""
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - network policies decide who connects

# What every line of a stream has in common. With the pod, each stream has one writer: Loki rejects
# lines an hour older than the newest of their stream.
LABELS = ("stack", "system", "service", "pod")
QUEUE_LINES = 20_000
"""Lines that wait in the agent's memory; above that it stops reading."""
BATCH_LINES = 1000


def log_store(settings: ObservabilitySettings, *, in_bucket: bool) -> Service:
    """Loki in one process. `in_bucket`: it keeps chunks and index in its bucket, not in its volume.

    It has no login: network policies let only the agent, Grafana and Prometheus in. It deletes by age,
    not by size: the alerts for disks report a volume that fills.
    """
    mib = 1024 if in_bucket else settings.logs_mib
    return Service(
        name="loki",
        image="loki",
        zone=Zone.MONITORING,
        resources=Resources(memory_mib=768, cpu=1, cpu_reserved=0.1),
        command=(f"-config.file={SECRETS}/loki.json",),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(Port(name="http", number=LOKI, bound=False),),
        probe=Probe(
            # It joins its own ring first: 15 s (ingester.lifecycler.min_ready_duration).
            check=HttpProbe(port=LOKI, path="/ready"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
            start_period_seconds=60,
        ),
        # Also the write-ahead log and the index of the day: 4 GiB.
        volumes=(
            Volume(name="data", path=FOLDER, size_gib=math.ceil(mib / 1024) + 4, cache=in_bucket),
        ),
        tmpfs=(TMP,),
        files=(
            File(
                path=f"{SECRETS}/loki.json",
                content=document(_loki(settings, "s3" if in_bucket else "filesystem")),
            ),
        ),
        # It writes what it has in memory to the store.
        stop_grace_seconds=60,
        bucket=in_bucket,
        monitoring=Monitoring(),
    )


def _loki(settings: ObservabilitySettings, store: str) -> dict[str, Any]:
    retention = f"{settings.logs_days * 24}h"
    return {
        # One tenant.
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {"http_listen_port": LOKI, "log_level": "warn", "log_format": "json"},
        "common": {
            "instance_addr": "127.0.0.1",
            "path_prefix": FOLDER,
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {
                "s3": {"bucketnames": BUCKET, "region": REGION},
            }
            if store == "s3"
            else {"filesystem": {"chunks_directory": f"{FOLDER}/chunks"}},
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2024-04-01",
                    "store": "tsdb",
                    "object_store": store,
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "compactor": {
            "working_directory": f"{FOLDER}/compactor",
            "retention_enabled": True,
            "delete_request_store": store,
        },
        "distributor": {
            "otlp_config": {"default_resource_attributes_as_index_labels": list(LABELS)}
        },
        "limits_config": {
            "retention_period": retention,
            # An agent that starts reads its node's files again.
            "reject_old_samples_max_age": retention,
            "allow_structured_metadata": True,
            # The agent names the service.
            "discover_service_name": [],
            # Of all services together: four times the 2,000 lines of 1 KiB per second that the log
            # agents are tested with, and room for an agent that catches up.
            "ingestion_rate_mb": 8,
            "ingestion_burst_size_mb": 16,
            "per_stream_rate_limit": "5MB",
            "per_stream_rate_limit_burst": "15MB",
        },
    }


def log_agent(store: Endpoint | Remote, system: str) -> Service:
    """Sends every line that a container of the stack writes to the store. While the store is unavailable, the
    lines stay in kubelet's own files: 5 of 10 MiB for each container, unless the node's settings
    differ (containerLogMaxFiles, containerLogMaxSize).

    It needs no access to the API: the path of a file names namespace, pod and container. Its positions
    are in memory. An agent that starts reads all files from the beginning; Loki rejects lines that are
    much older than the newest of their stream, and shows a line once that it has twice.
    """
    return Service(
        name="log-agent",
        image="otel-collector",
        zone=Zone.MONITORING,
        # The files belong to root. All capabilities are dropped.
        user="0:0",
        resources=Resources(memory_mib=256, cpu=0.5, cpu_reserved=0.05),
        command=(f"--config={SECRETS}/log-agent.json",),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        ports=(Port(name="metrics", number=COLLECTOR_METRICS, bound=False),),
        probe=Probe(
            check=HttpProbe(port=COLLECTOR_HEALTH, path="/"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
        ),
        host_mounts=(
            HostMount(
                folder=HostFolder.POD_LOGS, path=POD_LOGS, reason="reads the containers' logs"
            ),
        ),
        tmpfs=(TMP,),
        files=(
            File(path=f"{SECRETS}/log-agent.json", content=document(_log_agent(store, system))),
            *remote.authorization_files(store),
        ),
        links=remote.links(store),
        egress=isinstance(store, Remote),
        on_every_node=True,
        monitoring=Monitoring(port="metrics"),
    )


def _log_agent(store: Endpoint | Remote, system: str) -> dict[str, Any]:
    def move(source: str, target: str) -> dict[str, str]:
        return {"type": "move", "from": f'resource["{source}"]', "to": f'resource["{target}"]'}

    def remove(field: str) -> dict[str, str]:
        return {"type": "remove", "field": field, "if": f"{field} != nil"}

    def add(name: str, value: str) -> dict[str, str]:
        return {"type": "add", "field": f'resource["{name}"]', "value": value}

    return {
        "extensions": {
            "health_check": {"endpoint": f"{EVERY_ADDRESS}:{COLLECTOR_HEALTH}"},
            "file_storage": {"directory": f"{TMP.path}/positions", "create_directory": True},
        },
        "receivers": {
            "file_log": {
                "include": [f"{POD_LOGS}/{NAMESPACE}_*/*/*.log"],
                "include_file_path": True,
                "include_file_name": False,
                # Lines as they were written: the parts of a long one are joined.
                "preserve_leading_whitespaces": True,
                "preserve_trailing_whitespaces": True,
                "start_at": "beginning",
                "storage": "file_storage",
                "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
                "operators": [
                    # The formats of containerd and CRI-O, and the parts of a long line.
                    {"type": "container"},
                    move("k8s.container.name", "service"),
                    move("k8s.pod.name", "pod"),
                    add("stack", STACK),
                    add("system", system),
                    *(
                        remove(f'resource["k8s.{name}"]')
                        for name in ("pod.uid", "namespace.name", "container.restart_count")
                    ),
                    *(remove(f'attributes["{name}"]') for name in ("log.file.path", "logtag")),
                ],
            }
        },
        "processors": {"memory_limiter": MEMORY_LIMITER},
        "exporters": {
            "otlp_http": {
                **remote.exporter(store, "/otlp"),
                "retry_on_failure": {"enabled": True, "max_elapsed_time": "0s"},
                "sending_queue": {
                    "sizer": "items",
                    "queue_size": QUEUE_LINES,
                    "block_on_overflow": True,
                    "batch": {
                        "flush_timeout": "1s",
                        "min_size": BATCH_LINES,
                        "max_size": BATCH_LINES,
                    },
                },
            }
        },
        "service": {
            "extensions": ["health_check", "file_storage"],
            "pipelines": {
                "logs": {
                    "receivers": ["file_log"],
                    "processors": ["memory_limiter"],
                    "exporters": ["otlp_http"],
                }
            },
            "telemetry": {
                "logs": {"level": "warn", "encoding": "json"},
                "metrics": {
                    "readers": [
                        {
                            "pull": {
                                "exporter": {
                                    "prometheus": {"host": EVERY_ADDRESS, "port": COLLECTOR_METRICS}
                                }
                            }
                        }
                    ]
                },
            },
        },
    }
