"""For each alert, metrics on which it fires and metrics on which it doesn't.

Values are promtool's: `1+2x3` is 1 3 5 7, `0x3` is 0 0 0 0, `_` is no sample. A sample is taken every
`interval`, from time 0.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Series = Mapping[str, str]
"""Values by metric and labels."""

API = '{service="api", name="strata-dev-api-1", replica="api-1", kind="application"}'
API_LABELS = {"service": "api", "name": "strata-dev-api-1"}
STARTED = {f"container_start_time_seconds{API}": "0x400"}
HEALTHY: Series = {
    f"container_running{API}": "1x400",
    f"container_health_state{API}": "1x400",
    **STARTED,
}
DISK = '{service="node-exporter", instance="node-exporter-1", device="/dev/vda", mountpoint="/etc/hosts"}'
DISK_LABELS = {"service": "node-exporter", "instance": "node-exporter-1", "device": "/dev/vda"}
SIZE: Series = {f"node_filesystem_size_bytes{DISK}": "1000x400"}
URL = '{job="probes", service="gateway", instance="https://gateway:8443/"}'
URL_LABELS = {"service": "gateway", "instance": "https://gateway:8443/"}
GPU = '{service="gpu-exporter", instance="gpu-exporter-1", gpu="0", modelName="H200"}'
GPU_LABELS = {
    "service": "gpu-exporter",
    "instance": "gpu-exporter-1",
    "gpu": "0",
    "modelName": "H200",
}
DOCUMENTS = '{service="rabbitmq", queue="documents"}'
DEAD = '{service="rabbitmq", queue="documents.dead"}'
QUEUE_LABELS = {"service": "rabbitmq", "queue": "documents"}
CLUSTER_INFO = 'elasticsearch_scrape_success{service="search", collector="cluster-info"}'
FAULTED = (
    'kurrentdb_projection_status{service="eventstore", projection="$by_category", status="Faulted"}'
)
WRITER_QUEUE = 'kurrentdb_queue_queueing_duration_max_seconds{service="eventstore", name="Writer"}'
HEAP_USED = 'elasticsearch_jvm_memory_used_bytes{service="search", area="heap"}'
HEAP_MAXIMUM = 'elasticsearch_jvm_memory_max_bytes{service="search", area="heap"}'
STORE = '{service="prometheus", url="https://prometheus.example.com/api/v1/write"}'
SENT = {f"prometheus_remote_storage_samples_failed_total{STORE}": "0x30"}
DAY = 86400
RECORDS = '{service="node-exporter", instance="node-exporter-1"}'
BACKUP = f"strata_backup_last_success_timestamp_seconds{RECORDS}"
FIRST_BACKUP = f"strata_backup_first_success_timestamp_seconds{RECORDS}"
RESTORE = f"strata_restore_last_success_timestamp_seconds{RECORDS}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`quiet`: several situations; none of them may fire at the same time `at`."""

    alert: str
    fires: Series
    quiet: Mapping[str, Series]
    at: str
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    interval: str = "15s"

    def tests(self, severity: str) -> Iterator[dict[str, Any]]:
        """promtool's unit tests."""
        firing = {
            "exp_labels": {**self.labels, "severity": severity},
            "exp_annotations": {
                "summary": self.summary,
                "runbook": f"docs/runbooks.md#{self.alert.lower()}",
            },
        }
        situations = [("fires", self.fires, [firing])]
        situations += [(name, series, []) for name, series in self.quiet.items()]
        for name, series, expected in situations:
            yield {
                "name": f"{self.alert}: {name}",
                "interval": self.interval,
                "input_series": [{"series": key, "values": series[key]} for key in series],
                "alert_rule_test": [
                    {"eval_time": self.at, "alertname": self.alert, "exp_alerts": expected}
                ],
            }


def _requests(good: str, failed: str) -> Series:
    return {
        'http_requests_total{service="api", route="search", status="200"}': good,
        'http_requests_total{service="api", route="search", status="503"}': failed,
    }


def _of_backups(prefix: str, metric: str, service: str, server: str) -> Iterator[Case]:
    """Those of continuous backups. `server`: the metric that is 1 while the server is up."""

    def last(kind: str) -> str:
        return f'{metric}_success_timestamp_seconds{{service="{service}", kind="{kind}"}}'

    yield Case(
        alert=f"{prefix}BackupMissing",
        fires={last("full"): "0x2000"},
        quiet={
            "a full one each week, and one each day": {
                last("full"): "0x2000",
                last("incr"): "0x1439 86400x600",
            },
            "its server is down": {server: "0x2000"},
        },
        at="28h",
        interval="1m",
        labels={"service": service},
        summary=f"the last backup of {service} is too old, or there is none",
    )
    yield Case(
        alert=f"{prefix}BackupUnverified",
        fires={server: "1x100"},
        quiet={
            "verified": {server: "1x100", last("verify"): "0x100"},
            "the first one runs": {server: "_x30 1x100"},
        },
        at="1h15m",
        interval="1m",
        labels={"service": service},
        summary=f"no backup of {service} was restored and checked for too long",
    )


CASES = (
    Case(
        alert="DeadMansSwitch",
        fires={},
        # Nothing silences it.
        quiet={},
        at="0s",
        summary="always fires: if it stops arriving, alerting itself is broken",
    ),
    Case(
        alert="ContainerDown",
        fires={**HEALTHY, f"container_running{API}": "1x3 0x20"},
        quiet={
            "runs": HEALTHY,
            "replaced within 15 s": {**HEALTHY, f"container_running{API}": "1x3 0 1x20"},
            "job": {'container_running{service="import", name="import", kind="job"}': "0x20"},
        },
        at="75s",
        labels=API_LABELS,
        summary="strata-dev-api-1 isn't running",
    ),
    Case(
        alert="ContainerUnhealthy",
        fires={**HEALTHY, f"container_health_state{API}": "1x7 0x20"},
        quiet={
            "healthy": HEALTHY,
            "starts": {
                f"container_running{API}": "1x20",
                f"container_health_state{API}": "0x20",
                f"container_start_time_seconds{API}": "90x20",
            },
            "stopped": {
                **HEALTHY,
                f"container_running{API}": "0x20",
                f"container_health_state{API}": "0x20",
            },
        },
        at="2m",
        labels=API_LABELS,
        summary="strata-dev-api-1 fails its health check",
    ),
    Case(
        alert="ContainerRestarted",
        fires={f"container_restarts_total{API}": "0x3 1x20"},
        quiet={
            "long ago": {f"container_restarts_total{API}": "7x20"},
            "new container": {f"container_restarts_total{API}": "_x3 0x20"},
        },
        at="1m",
        labels=API_LABELS,
        summary="a process of strata-dev-api-1 ended unexpectedly, and was restarted",
    ),
    Case(
        alert="ContainerRestartLoop",
        fires={f"container_restarts_total{API}": "0+1x40"},
        quiet={"restarted once": {f"container_restarts_total{API}": "0x3 1x40"}},
        at="10m",
        labels=API_LABELS,
        summary="strata-dev-api-1 restarted 40 times in 10 minutes",
    ),
    Case(
        alert="ContainerOutOfMemory",
        fires={f"container_oom_events_total{API}": "0x3 1x20"},
        quiet={"none": {f"container_oom_events_total{API}": "3x20"}},
        at="1m",
        labels=API_LABELS,
        summary="the kernel killed a process of strata-dev-api-1 at its memory limit",
    ),
    Case(
        alert="ContainerMemoryNearLimit",
        fires={
            f"container_memory_working_set_bytes{API}": "95x40",
            f"container_spec_memory_limit_bytes{API}": "100x40",
        },
        quiet={
            "below": {
                f"container_memory_working_set_bytes{API}": "89x40",
                f"container_spec_memory_limit_bytes{API}": "100x40",
            },
            "no limit": {
                f"container_memory_working_set_bytes{API}": "95x40",
                f"container_spec_memory_limit_bytes{API}": "0x40",
            },
        },
        at="6m",
        labels=API_LABELS,
        summary="strata-dev-api-1 uses 95% of its memory limit",
    ),
    Case(
        alert="ContainerCpuThrottled",
        fires={
            f"container_cpu_cfs_throttled_periods_total{API}": "0+75x120",
            f"container_cpu_cfs_periods_total{API}": "0+150x120",
        },
        quiet={
            "a little": {
                f"container_cpu_cfs_throttled_periods_total{API}": "0+15x120",
                f"container_cpu_cfs_periods_total{API}": "0+150x120",
            },
            "for some minutes": {
                f"container_cpu_cfs_throttled_periods_total{API}": "0x80 75+75x40",
                f"container_cpu_cfs_periods_total{API}": "0+150x120",
            },
        },
        at="25m",
        labels=API_LABELS,
        summary="strata-dev-api-1 waits for its CPU limit 50% of the time",
    ),
    Case(
        alert="TargetDown",
        fires={**HEALTHY, 'up{job="api", service="api", instance="api-1"}': "1x3 0x20"},
        quiet={
            "up": {**HEALTHY, 'up{job="api", service="api", instance="api-1"}': "1x20"},
            "one scrape": {'up{job="api", service="api", instance="api-1"}': "1x6 0 1x20"},
            "its container is down": {
                **HEALTHY,
                f"container_running{API}": "1x3 0x20",
                'up{job="api", service="api", instance="api-1"}': "1x3 0x20",
            },
            "its container is unhealthy": {
                **HEALTHY,
                f"container_health_state{API}": "1x3 0x20",
                'up{job="api", service="api", instance="api-1"}': "1x5 0x20",
            },
            "probe": {'up{job="probes", service="gateway", instance="http://gateway/"}': "0x20"},
        },
        at="2m",
        labels={"service": "api", "instance": "api-1"},
        summary="the metrics of api (api-1) can't be read",
    ),
    Case(
        alert="UrlDown",
        fires={f"probe_success{URL}": "1x3 0x20"},
        quiet={
            "answers": {f"probe_success{URL}": "1x20"},
            "one probe": {f"probe_success{URL}": "1x4 0 1x20"},
        },
        at="75s",
        labels=URL_LABELS,
        summary="https://gateway:8443/ doesn't answer, or with an error",
    ),
    Case(
        alert="CertificateExpires",
        fires={f"probe_ssl_earliest_cert_expiry{URL}": f"{10 * DAY}x20"},
        quiet={"in 15 days": {f"probe_ssl_earliest_cert_expiry{URL}": f"{15 * DAY}x20"}},
        at="1m",
        labels=URL_LABELS,
        summary="the certificate of https://gateway:8443/ expires in 9d 23h 59m 0s",
    ),
    Case(
        alert="CertificateExpired",
        fires={f"probe_ssl_earliest_cert_expiry{URL}": "30x20"},
        quiet={"in a minute": {f"probe_ssl_earliest_cert_expiry{URL}": "120x20"}},
        at="1m",
        labels=URL_LABELS,
        summary="the certificate of https://gateway:8443/ has expired",
    ),
    Case(
        alert="ErrorBudgetBurnsFast",
        fires=_requests("0+90x180", "0+10x180"),
        quiet={
            "within the objective": _requests("0+999x180", "0+1x180"),
            "over for half an hour": _requests("0+90x180", "0+100x40 4000x140"),
            "too few to tell": _requests("1x180", "0x170 1 2x10"),
            "clients' errors": {
                'http_requests_total{service="api", route="search", status="422"}': "0+10x180"
            },
        },
        at="45m",
        labels={"service": "api"},
        summary="api fails 10% of its requests",
    ),
    Case(
        alert="ErrorBudgetBurnsSlowly",
        fires=_requests("0+990x90", "0+10x90"),
        quiet={"within the objective": _requests("0+997x90", "0+3x90")},
        at="7h",
        interval="5m",
        labels={"service": "api"},
        summary="api fails 1% of its requests",
    ),
    Case(
        alert="RequestsSlow",
        fires={
            'http_request_duration_seconds_bucket{service="api", le="1.0"}': "0+90x80",
            'http_request_duration_seconds_bucket{service="api", le="2.5"}': "0+100x80",
            'http_request_duration_seconds_bucket{service="api", le="+Inf"}': "0+100x80",
        },
        quiet={
            "fast": {
                'http_request_duration_seconds_bucket{service="api", le="1.0"}': "0+96x80",
                'http_request_duration_seconds_bucket{service="api", le="2.5"}': "0+100x80",
                'http_request_duration_seconds_bucket{service="api", le="+Inf"}': "0+100x80",
            },
            "no requests": {
                'http_request_duration_seconds_bucket{service="api", le="1.0"}': "9x80",
                'http_request_duration_seconds_bucket{service="api", le="+Inf"}': "99x80",
            },
        },
        at="15m",
        labels={"service": "api"},
        summary="5% of the requests to api take 1.75s or longer",
    ),
    Case(
        alert="DiskNearlyFull",
        fires={**SIZE, f"node_filesystem_avail_bytes{DISK}": "200x3 45x20"},
        quiet={"space left": {**SIZE, f"node_filesystem_avail_bytes{DISK}": "60x20"}},
        at="90s",
        labels=DISK_LABELS,
        summary="4.5% of /dev/vda is free",
    ),
    Case(
        alert="DiskFull",
        fires={**SIZE, f"node_filesystem_avail_bytes{DISK}": "200x3 20x20"},
        quiet={"nearly": {**SIZE, f"node_filesystem_avail_bytes{DISK}": "45x20"}},
        at="90s",
        labels=DISK_LABELS,
        summary="2% of /dev/vda is free",
    ),
    Case(
        alert="DiskFillsWithinADay",
        fires={**SIZE, f"node_filesystem_avail_bytes{DISK}": "390-2x60"},
        quiet={
            "steady": {**SIZE, f"node_filesystem_avail_bytes{DISK}": "300x60"},
            "much space left": {**SIZE, f"node_filesystem_avail_bytes{DISK}": "900-4x60"},
            "young stack": {**SIZE, f"node_filesystem_avail_bytes{DISK}": "_x30 390-5x30"},
        },
        at="5h",
        interval="5m",
        labels=DISK_LABELS,
        summary="/dev/vda is full within a day, at the rate of the last 6 hours",
    ),
    Case(
        alert="DiskOutOfInodes",
        fires={
            f"node_filesystem_files{DISK}": "1000x20",
            f"node_filesystem_files_free{DISK}": "20x20",
        },
        quiet={
            "inodes left": {
                f"node_filesystem_files{DISK}": "1000x20",
                f"node_filesystem_files_free{DISK}": "40x20",
            },
            "file system without inodes": {
                f"node_filesystem_files{DISK}": "0x20",
                f"node_filesystem_files_free{DISK}": "0x20",
            },
        },
        at="1m",
        labels=DISK_LABELS,
        summary="2% of the inodes of /dev/vda are free",
    ),
    Case(
        alert="LogsBehind",
        fires={'vlagent_remotewrite_retries_count_total{service="log-agent"}': "0x3 1+1x30"},
        quiet={
            "sends": {'vlagent_remotewrite_retries_count_total{service="log-agent"}': "4x30"},
            "one retry": {
                'vlagent_remotewrite_retries_count_total{service="log-agent"}': "0x4 1x30"
            },
        },
        at="5m",
        labels={"service": "log-agent"},
        summary="log-agent can't send logs to their store, and keeps them on disk",
    ),
    Case(
        alert="LogsLost",
        fires={
            'vl_rows_dropped_total{service="victoria-logs", reason="too_many_fields"}': "0x3 9x20"
        },
        quiet={
            "none": {'vlagent_remotewrite_packets_dropped_total{service="log-agent"}': "2x20"},
            "older than the store keeps": {
                'vl_rows_dropped_total{service="victoria-logs", reason="too_small_timestamp"}': (
                    "0x3 9x20"
                )
            },
        },
        at="1m",
        labels={"service": "victoria-logs"},
        summary="victoria-logs dropped log lines",
    ),
    Case(
        alert="MetricStoreBehind",
        fires={f"prometheus_remote_storage_samples_retried_total{STORE}": "0x3 500+500x30"} | SENT,
        quiet={
            "sends": {f"prometheus_remote_storage_samples_retried_total{STORE}": "500x30"} | SENT,
            "one retry": {f"prometheus_remote_storage_samples_retried_total{STORE}": "0x4 500x30"}
            | SENT,
        },
        at="4m",
        labels={"service": "prometheus"},
        summary="Prometheus can't send metrics to their store, and keeps them",
    ),
    Case(
        alert="NotificationsFail",
        fires={
            "alertmanager_notifications_failed_total"
            '{service="alertmanager", integration="webhook", reason="serverError"}': "0x3 1x20",
            "alertmanager_notifications_failed_total"
            '{service="alertmanager", integration="webhook", reason="other"}': "0x20",
        },
        quiet={
            "sent": {
                "alertmanager_notifications_failed_total"
                '{service="alertmanager", integration="webhook", reason="other"}': "3x20"
            }
        },
        at="1m",
        labels={"service": "alertmanager", "integration": "webhook"},
        summary="alerts can't be sent to webhook",
    ),
    Case(
        alert="RulesFail",
        fires={'prometheus_rule_evaluation_failures_total{service="prometheus"}': "0x3 1x20"},
        quiet={"none": {'prometheus_rule_evaluation_failures_total{service="prometheus"}': "2x20"}},
        at="1m",
        labels={"service": "prometheus"},
        summary="alerts can't be evaluated",
    ),
    Case(
        alert="GatewayDropsConnections",
        fires={
            'nginx_connections_accepted{service="gateway"}': "0+15x20",
            'nginx_connections_handled{service="gateway"}': "0+12x20",
        },
        quiet={
            "handles all": {
                'nginx_connections_accepted{service="gateway"}': "0+15x20",
                'nginx_connections_handled{service="gateway"}': "0+15x20",
            }
        },
        at="5m",
        labels={"service": "gateway"},
        summary="gateway closed 60 connections, beyond its limit",
    ),
    Case(
        alert="GatewayCertificateMissing",
        fires={
            # The scraped service label is the gateway's. An earlier certificate expires sooner.
            'traefik_tls_certs_not_after{service="gateway", sans="app.example.com", serial="1"}': "0x40",
            'traefik_tls_certs_not_after{service="gateway", sans="app.example.com", serial="2"}': "1209000x40",
            'traefik_config_last_reload_success{service="gateway"}': "60x40",
        },
        quiet={
            "renewed": {
                'traefik_tls_certs_not_after{service="gateway", sans="app.example.com", serial="1"}': "1209000x40",
                'traefik_tls_certs_not_after{service="gateway", sans="app.example.com", serial="2"}': "7776000x40",
                'traefik_config_last_reload_success{service="gateway"}': "60x40",
            }
        },
        at="7m",
        labels={"service": "gateway"},
        summary="the ACME server didn't certify app.example.com, or its certificate expires within 14 days",
    ),
    Case(
        alert="PostgresDown",
        fires={'pg_up{service="postgres", instance="postgres-exporter-1"}': "1x3 0x20"},
        quiet={"up": {'pg_up{service="postgres", instance="postgres-exporter-1"}': "1x20"}},
        at="2m",
        labels={"service": "postgres"},
        summary="postgres doesn't accept the connections of its exporter",
    ),
    Case(
        alert="PostgresConnectionsNearLimit",
        fires={
            'pg_stat_activity_count{service="postgres", state="active"}': "41x40",
            'pg_stat_activity_count{service="postgres", state="idle"}': "41x40",
            'pg_settings_max_connections{service="postgres"}': "100x40",
        },
        quiet={
            "some left": {
                'pg_stat_activity_count{service="postgres", state="active"}': "41x40",
                'pg_stat_activity_count{service="postgres", state="idle"}': "30x40",
                'pg_settings_max_connections{service="postgres"}': "100x40",
            }
        },
        at="6m",
        labels={"service": "postgres"},
        summary="postgres uses 82% of its connections",
    ),
    Case(
        alert="PostgresLongTransaction",
        fires={
            "pg_stat_activity_max_tx_duration"
            '{service="postgres", datname="strata", state="idle in transaction", usename="a"}': (
                "900+15x20"
            ),
        },
        quiet={
            "short": {
                "pg_stat_activity_max_tx_duration"
                '{service="postgres", datname="strata", state="active"}': "0 15 0x20"
            }
        },
        at="2m",
        labels={"service": "postgres", "datname": "strata", "state": "idle in transaction"},
        summary="a transaction in strata of postgres (idle in transaction) is open for 17m 0s",
    ),
    Case(
        alert="PostgresDeadlocks",
        fires={'pg_stat_database_deadlocks{service="postgres", datname="strata"}': "0x3 1x20"},
        quiet={
            "none": {'pg_stat_database_deadlocks{service="postgres", datname="strata"}': "4x20"}
        },
        at="1m",
        labels={"service": "postgres", "datname": "strata"},
        summary="PostgreSQL ended transactions of strata that waited for each other",
    ),
    Case(
        alert="PostgresReadsFromDisk",
        fires={
            'pg_stat_database_blks_hit{service="postgres", datname="strata"}': "0+12000x130",
            'pg_stat_database_blks_read{service="postgres", datname="strata"}': "0+3000x130",
        },
        quiet={
            "from memory": {
                'pg_stat_database_blks_hit{service="postgres", datname="strata"}': "0+97000x130",
                'pg_stat_database_blks_read{service="postgres", datname="strata"}': "0+3000x130",
            },
            "few reads": {
                'pg_stat_database_blks_hit{service="postgres", datname="strata"}': "0+120x130",
                'pg_stat_database_blks_read{service="postgres", datname="strata"}': "0+100x130",
            },
        },
        at="30m",
        labels={"service": "postgres"},
        summary="postgres finds 80% of the pages in its memory",
    ),
    Case(
        alert="PostgresArchiveFailing",
        fires={'pg_stat_archiver_failed_count{service="postgres"}': "0x4 3+3x20"},
        quiet={
            "works": {'pg_stat_archiver_failed_count{service="postgres"}': "7x30"},
            "failed once": {'pg_stat_archiver_failed_count{service="postgres"}': "0x4 3x30"},
        },
        at="12m",
        interval="1m",
        labels={"service": "postgres"},
        summary="postgres can't archive its changes, and keeps them until its disk is full",
    ),
    *_of_backups("Postgres", "postgres_backup", "postgres", 'pg_up{service="postgres"}'),
    *_of_backups(
        "Datastore", "datastore_backup", "redis", 'up{service="redis", job="redis-backups"}'
    ),
    Case(
        alert="RedisDown",
        fires={'redis_up{service="redis", instance="redis-exporter-1"}': "1x3 0x20"},
        quiet={"up": {'redis_up{service="redis", instance="redis-exporter-1"}': "1x20"}},
        at="2m",
        labels={"service": "redis"},
        summary="redis doesn't accept the connections of its exporter",
    ),
    Case(
        alert="RedisClusterDown",
        fires={'redis_cluster_state{service="redis-cluster"}': "1x3 0x20"},
        quiet={
            "fails over": {'redis_cluster_state{service="redis-cluster"}': "1x3 0x1 1x20"},
            "serves all": {'redis_cluster_state{service="redis-cluster"}': "1x20"},
        },
        at="2m",
        labels={"service": "redis-cluster"},
        summary="redis-cluster doesn't serve all slots: it rejects commands",
    ),
    Case(
        alert="RedisClusterNodeFails",
        fires={'redis_cluster_slots_pfail{service="redis-cluster"}': "0x3 5461x20"},
        quiet={
            "none": {
                'redis_cluster_slots_pfail{service="redis-cluster"}': "0x20",
                'redis_cluster_slots_fail{service="redis-cluster"}': "0x20",
            }
        },
        at="2m",
        labels={"service": "redis-cluster"},
        summary="a primary of redis-cluster with 5461 slots doesn't respond",
    ),
    Case(
        alert="RedisRejectsConnections",
        fires={'redis_rejected_connections_total{service="redis"}': "0x3 5x20"},
        quiet={"none": {'redis_rejected_connections_total{service="redis"}': "5x20"}},
        at="1m",
        labels={"service": "redis"},
        summary="redis has reached its limit of clients",
    ),
    Case(
        alert="RedisCantSave",
        fires={
            'redis_aof_last_write_status{service="redis"}': "1x3 0x20",
            'redis_rdb_last_bgsave_status{service="redis"}': "1x20",
        },
        quiet={
            "saves": {
                'redis_aof_last_write_status{service="redis"}': "1x20",
                'redis_rdb_last_bgsave_status{service="redis"}': "1x20",
            }
        },
        at="75s",
        labels={"service": "redis"},
        summary="redis can't write to its volume",
    ),
    Case(
        alert="RedisCacheTooSmall",
        fires={
            'redis_keyspace_hits_total{service="redis"}': "0+50x130",
            'redis_keyspace_misses_total{service="redis"}': "0+50x130",
            'redis_evicted_keys_total{service="redis"}': "0+5x130",
        },
        quiet={
            "evicts what isn't needed": {
                'redis_keyspace_hits_total{service="redis"}': "0+90x130",
                'redis_keyspace_misses_total{service="redis"}': "0+10x130",
                'redis_evicted_keys_total{service="redis"}': "0+5x130",
            },
            "isn't full": {
                'redis_keyspace_hits_total{service="redis"}': "0+50x130",
                'redis_keyspace_misses_total{service="redis"}': "0+50x130",
                'redis_evicted_keys_total{service="redis"}': "0x130",
            },
        },
        at="30m",
        labels={"service": "redis"},
        summary="redis is full, evicts keys, and has 50% of those requested",
    ),
    Case(
        alert="RabbitmqQueueWithoutConsumer",
        fires={
            f"rabbitmq_queue_messages_ready{DOCUMENTS}": "0x3 7x20",
            f"rabbitmq_queue_consumers{DOCUMENTS}": "1x3 0x20",
        },
        quiet={
            "consumed": {
                f"rabbitmq_queue_messages_ready{DOCUMENTS}": "7x20",
                f"rabbitmq_queue_consumers{DOCUMENTS}": "1x20",
            },
            "empty": {
                f"rabbitmq_queue_messages_ready{DOCUMENTS}": "0x20",
                f"rabbitmq_queue_consumers{DOCUMENTS}": "0x20",
            },
            "dead letters": {
                f"rabbitmq_queue_messages_ready{DEAD}": "7x20",
                f"rabbitmq_queue_consumers{DEAD}": "0x20",
            },
        },
        at="75s",
        labels=QUEUE_LABELS,
        summary="queue documents has 7 messages and no consumer",
    ),
    Case(
        alert="RabbitmqQueueSlow",
        fires={
            f"rabbitmq_queue_messages_ready{DOCUMENTS}": "1200x60",
            f"rabbitmq_queue_messages_acked_total{DOCUMENTS}": "0+30x60",
        },
        quiet={
            "fast": {
                f"rabbitmq_queue_messages_ready{DOCUMENTS}": "1200x60",
                f"rabbitmq_queue_messages_acked_total{DOCUMENTS}": "0+90x60",
            },
            "empty": {
                f"rabbitmq_queue_messages_ready{DOCUMENTS}": "0x60",
                f"rabbitmq_queue_messages_acked_total{DOCUMENTS}": "50x60",
            },
        },
        at="12m",
        labels=QUEUE_LABELS,
        summary="a message waits for 10m 0s in queue documents",
    ),
    Case(
        alert="RabbitmqConsumersStuck",
        fires={
            f"rabbitmq_queue_messages{DOCUMENTS}": "0x3 5x60",
            f"rabbitmq_queue_consumers{DOCUMENTS}": "1x60",
        },
        quiet={
            "works": {
                f"rabbitmq_queue_messages{DOCUMENTS}": "5x60",
                f"rabbitmq_queue_consumers{DOCUMENTS}": "1x60",
                f"rabbitmq_queue_messages_acked_total{DOCUMENTS}": "0+1x60",
            },
            "empty": {
                f"rabbitmq_queue_messages{DOCUMENTS}": "0x60",
                f"rabbitmq_queue_consumers{DOCUMENTS}": "1x60",
            },
            "no consumer": {
                f"rabbitmq_queue_messages{DOCUMENTS}": "5x60",
                f"rabbitmq_queue_consumers{DOCUMENTS}": "0x60",
            },
        },
        at="10m",
        labels=QUEUE_LABELS,
        summary="the consumers of queue documents finish no message",
    ),
    Case(
        alert="RabbitmqMessagesRejected",
        fires={
            "rabbitmq_global_messages_dead_lettered_rejected_total"
            '{service="rabbitmq", queue_type="rabbit_quorum_queue"}': "0x20 3x20"
        },
        quiet={
            "none": {
                "rabbitmq_global_messages_dead_lettered_rejected_total"
                '{service="rabbitmq", queue_type="rabbit_quorum_queue"}': "3x40"
            }
        },
        at="10m",
        labels={"service": "rabbitmq"},
        summary="consumers rejected 3 messages in 10 minutes",
    ),
    Case(
        alert="RabbitmqBlocksPublishers",
        fires={
            'rabbitmq_alarms_memory_used_watermark{service="rabbitmq"}': "0x20",
            'rabbitmq_alarms_free_disk_space_watermark{service="rabbitmq"}': "0x3 1x20",
        },
        quiet={
            "accepts": {
                'rabbitmq_alarms_memory_used_watermark{service="rabbitmq"}': "0x20",
                'rabbitmq_alarms_free_disk_space_watermark{service="rabbitmq"}': "0x20",
            }
        },
        at="1m",
        labels={"service": "rabbitmq"},
        summary="rabbitmq has too little memory or disk space to accept messages",
    ),
    Case(
        alert="HostMemoryOvercommitted",
        fires={
            'node_memory_MemAvailable_bytes{service="node-exporter"}': "1073741824x80",
            f"container_spec_memory_limit_bytes{API}": "2147483648x80",
            f"container_memory_working_set_bytes{API}": "268435456x80",
        },
        quiet={
            "enough": {
                'node_memory_MemAvailable_bytes{service="node-exporter"}': "2147483648x80",
                f"container_spec_memory_limit_bytes{API}": "2147483648x80",
                f"container_memory_working_set_bytes{API}": "268435456x80",
            },
            "limits in use": {
                'node_memory_MemAvailable_bytes{service="node-exporter"}': "1073741824x80",
                f"container_spec_memory_limit_bytes{API}": "2147483648x80",
                f"container_memory_working_set_bytes{API}": "1610612736x80",
            },
        },
        at="16m",
        labels={"service": "node-exporter"},
        summary="the containers may grow by more than the 1GiB that the host has available",
    ),
    Case(
        alert="BackupMissing",
        fires={BACKUP: f"{-27 * 3600}x20"},
        quiet={
            "a day old": {BACKUP: f"{-25 * 3600}x20"},
            "none yet": {RESTORE: f"{-27 * 3600}x20"},
        },
        at="1m",
        summary="the last backup is 1d 3h 1m 0s old",
    ),
    Case(
        alert="RestoreUnverified",
        fires={
            BACKUP: "0x20",
            FIRST_BACKUP: f"{-90 * DAY}x20",
            RESTORE: f"{-31 * DAY}x20",
        },
        quiet={
            "restored": {
                BACKUP: "0x20",
                FIRST_BACKUP: f"{-90 * DAY}x20",
                RESTORE: f"{-29 * DAY}x20",
            },
            "first backup, not restored yet": {BACKUP: "0x20", FIRST_BACKUP: f"{-29 * DAY}x20"},
            "no backup": {RESTORE: f"{-31 * DAY}x20"},
        },
        at="1m",
        summary="no backup has been restored for 31d 0h 1m 0s",
    ),
    Case(
        alert="DocumentsFail",
        fires={'worker_documents_total{service="worker", outcome="failed"}': "0x20 2x20"},
        quiet={
            "stored": {'worker_documents_total{service="worker", outcome="stored"}': "0+5x40"},
            "long ago": {'worker_documents_total{service="worker", outcome="failed"}': "2x40"},
        },
        at="10m",
        labels={"service": "worker"},
        summary="worker gave up 2 documents in 10 minutes",
    ),
    Case(
        alert="GpuLost",
        fires={
            'gpu_exporter_lost_gpus{service="gpu-exporter", instance="gpu-exporter-1"}': "0x3 1x20"
        },
        quiet={
            "none": {
                'gpu_exporter_lost_gpus{service="gpu-exporter", instance="gpu-exporter-1"}': "0x20"
            }
        },
        at="75s",
        labels={"service": "gpu-exporter", "instance": "gpu-exporter-1"},
        summary="1 GPUs fell off the bus, need a reset, or are missing",
    ),
    Case(
        alert="GpuError",
        fires={f"DCGM_FI_DEV_XID_ERRORS{GPU}": "0x3 79x20"},
        quiet={
            "none": {f"DCGM_FI_DEV_XID_ERRORS{GPU}": "0x20"},
            "long ago": {f"DCGM_FI_DEV_XID_ERRORS{GPU}": "79x20"},
        },
        at="1m",
        labels=GPU_LABELS,
        summary="the driver reported XID 79 of GPU 0",
    ),
    Case(
        alert="GpuMemoryErrors",
        fires={f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{GPU}": "0x3 1x20"},
        quiet={"none": {f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{GPU}": "4x20"}},
        at="1m",
        labels=GPU_LABELS,
        summary="the memory of GPU 0 had errors that ECC can't correct",
    ),
    Case(
        alert="GpuHot",
        fires={f"DCGM_FI_DEV_GPU_TEMP{GPU}": "90x40"},
        quiet={"warm": {f"DCGM_FI_DEV_GPU_TEMP{GPU}": "80x40"}},
        at="6m",
        labels=GPU_LABELS,
        summary="GPU 0 has 90 °C",
    ),
    Case(
        alert="GpuThrottled",
        # 64: hardware thermal slowdown; 1, 2, 4 and 256: idle, application clocks, power cap, display.
        fires={f"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{GPU}": "65x40"},
        quiet={"normal clocks": {f"DCGM_FI_DEV_CLOCK_THROTTLE_REASONS{GPU}": "263x40"}},
        at="6m",
        labels=GPU_LABELS,
        summary="GPU 0 runs at lower clocks, because of heat or its power supply",
    ),
    Case(
        alert="GpuMemoryNearLimit",
        fires={f"DCGM_FI_DEV_FB_USED{GPU}": "980x40", f"DCGM_FI_DEV_FB_FREE{GPU}": "20x40"},
        quiet={
            "free": {f"DCGM_FI_DEV_FB_USED{GPU}": "500x40", f"DCGM_FI_DEV_FB_FREE{GPU}": "500x40"}
        },
        at="6m",
        labels=GPU_LABELS,
        summary="98% of the memory of GPU 0 is used",
    ),
    Case(
        alert="GpuIdle",
        fires={f"DCGM_FI_DEV_FB_USED{GPU}": "600x90", f"DCGM_FI_DEV_GPU_UTIL{GPU}": "0x90"},
        quiet={
            "works now and then": {
                f"DCGM_FI_DEV_FB_USED{GPU}": "600x90",
                f"DCGM_FI_DEV_GPU_UTIL{GPU}": "0x40 50 0x49",
            },
            "no container": {
                f"DCGM_FI_DEV_FB_USED{GPU}": "4x90",
                f"DCGM_FI_DEV_GPU_UTIL{GPU}": "0x90",
            },
            "new": {
                f"DCGM_FI_DEV_FB_USED{GPU}": "_x50 600x40",
                f"DCGM_FI_DEV_GPU_UTIL{GPU}": "_x50 0x40",
            },
        },
        at="70m",
        interval="1m",
        labels=GPU_LABELS,
        summary="GPU 0 (H200) was idle for an hour, though a container uses its memory",
    ),
    Case(
        alert="GpuIdle",
        fires={
            f"DCGM_FI_DEV_FB_USED{GPU}": "600x90",
            f"DCGM_FI_DEV_GPU_UTIL{GPU}": "0x90",
            "gpu_dollars_per_hour": "0.8048x90",
        },
        quiet={"no GPU": {"gpu_dollars_per_hour": "0.8048x90"}},
        at="70m",
        interval="1m",
        labels=GPU_LABELS,
        summary="GPU 0 (H200) was idle for an hour, though a container uses its memory:"
        " it costs 0.8048 dollars an hour",
    ),
    Case(
        alert="OpensearchDown",
        fires={CLUSTER_INFO: "1x3 0x20"},
        quiet={"up": {CLUSTER_INFO: "1x20"}},
        at="2m",
        labels={"service": "search"},
        summary="search doesn't answer its exporter",
    ),
    Case(
        alert="OpensearchRed",
        fires={'elasticsearch_cluster_health_status{service="search", color="red"}': "0x3 1x20"},
        quiet={
            "yellow": {
                'elasticsearch_cluster_health_status{service="search", color="red"}': "0x20",
                'elasticsearch_cluster_health_status{service="search", color="yellow"}': "1x20",
            },
            "starts": {
                'elasticsearch_cluster_health_status{service="search", color="red"}': "1x2 0x20"
            },
        },
        at="3m",
        labels={"service": "search"},
        summary="an index of search has lost a shard: some searches and writes fail",
    ),
    Case(
        alert="OpensearchDiskFull",
        fires={
            'elasticsearch_filesystem_data_available_bytes{service="search"}': "4e9x3 1610612736x20"
        },
        quiet={
            "has space": {
                'elasticsearch_filesystem_data_available_bytes{service="search"}': "4e9x20"
            }
        },
        at="3m",
        labels={"service": "search"},
        summary="the volume of search has 1.5GiB left: it creates no indices, and rejects writes below"
        " 1 GiB",
    ),
    Case(
        alert="OpensearchHeapFull",
        fires={HEAP_USED: "450x80", HEAP_MAXIMUM: "500x80"},
        quiet={
            "is collected": {HEAP_USED: "450x40 200 450x39", HEAP_MAXIMUM: "500x80"},
            "half": {HEAP_USED: "250x80", HEAP_MAXIMUM: "500x80"},
        },
        at="17m",
        labels={"service": "search"},
        summary="search uses 90% of its heap",
    ),
    *(
        Case(
            alert="OpensearchRejectsRequests",
            fires={rejected: "0x3 2x20"},
            quiet={"none": {rejected: "2x20"}},
            at="2m",
            labels={"service": "search"},
            summary="search rejected requests for want of memory or threads",
        )
        for rejected in (
            'elasticsearch_breakers_tripped{service="search", breaker="parent"}',
            'elasticsearch_thread_pool_rejected_count{service="search", type="search"}',
        )
    ),
    Case(
        alert="QuestdbTableSuspended",
        fires={'questdb_suspended_tables{service="series"}': "0x3 2x20"},
        quiet={"none": {'questdb_suspended_tables{service="series"}': "0x20"}},
        at="3m",
        labels={"service": "series"},
        summary="series has suspended 2 tables: their new rows aren't visible",
    ),
    Case(
        alert="QuestdbUnhandledErrors",
        fires={'questdb_unhandled_errors_total{service="series"}': "0x3 2x20"},
        quiet={"none": {'questdb_unhandled_errors_total{service="series"}': "2x20"}},
        at="2m",
        labels={"service": "series"},
        summary="series had errors that it didn't handle",
    ),
    Case(
        alert="RayTasksInfeasible",
        fires={'ray_internal_num_infeasible_scheduling_classes{service="ray-worker"}': "0x3 1x40"},
        quiet={
            "none": {'ray_internal_num_infeasible_scheduling_classes{service="ray-worker"}': "0x40"}
        },
        at="9m",
        labels={"service": "ray-worker"},
        summary="tasks of ray-worker wait for resources that no node of its cluster has",
    ),
    Case(
        alert="RayProcessesDied",
        # The counter appears with its first event.
        fires={'ray_memory_manager_worker_eviction_total{service="ray-worker"}': "_x14 1x20"},
        quiet={
            "long ago": {
                'ray_node_manager_unexpected_worker_failure_total{service="ray-worker"}': "2x40"
            }
        },
        at="20m",
        interval="1m",
        labels={"service": "ray-worker"},
        summary="ray-worker lost 1 processes with their tasks: its memory was full, or they crashed",
    ),
    Case(
        alert="RayObjectStoreFull",
        fires={
            'ray_object_store_used_memory{service="ray-worker"}': "95x60",
            'ray_object_store_available_memory{service="ray-worker"}': "5x60",
        },
        quiet={
            "half": {
                'ray_object_store_used_memory{service="ray-worker"}': "50x60",
                'ray_object_store_available_memory{service="ray-worker"}': "50x60",
            }
        },
        at="9m",
        labels={"service": "ray-worker"},
        summary="ray-worker uses 95% of its object store",
    ),
    Case(
        alert="KurrentdbProjectionFaulted",
        fires={FAULTED: "0x3 1x20"},
        quiet={"runs": {FAULTED: "0x20"}},
        at="2m",
        labels={"service": "eventstore", "projection": "$by_category"},
        summary="projection $by_category of eventstore has failed and stands still",
    ),
    Case(
        alert="KurrentdbQueuesSlow",
        fires={WRITER_QUEUE: "0x3 2.5x20"},
        quiet={"within the timeout": {WRITER_QUEUE: "1.5x20"}},
        at="3m",
        labels={"service": "eventstore"},
        summary="requests wait 2.5s in a queue of eventstore",
    ),
    Case(
        alert="ConsulWithoutLeader",
        fires={'consul_server_isLeader{service="consul"}': "1x3 0x20"},
        quiet={"leads": {'consul_server_isLeader{service="consul"}': "1x20"}},
        at="2m",
        labels={"service": "consul"},
        summary="consul has no leader: it takes no registrations",
    ),
    Case(
        alert="TracesDropped",
        fires={'otelcol_receiver_refused_spans_total{service="jaeger"}': "0x3 15+15x40"},
        quiet={"takes all": {'otelcol_receiver_refused_spans_total{service="jaeger"}': "4x40"}},
        at="9m",
        labels={"service": "jaeger"},
        summary="jaeger drops 1 spans per second",
    ),
)
