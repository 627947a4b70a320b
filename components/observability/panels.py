"""The panels that every stack and every service has."""

from strata.components.observability.alerts import LAST_BACKUP, LAST_RESTORE
from strata.components.observability.discovery import READY, WANTED
from strata.components.observability.gpu import PRICE
from strata.model import Panel, Unit

_FIRING = 'ALERTS{alertstate="firing", alertname!="DeadMansSwitch"}'
FIRING = f"sum by (alertname, service) ({_FIRING})"
_CONTAINERS = 'container_running{kind!~"job|files|prepare"}'
_ALL = "sum by (service) (rate(http_requests_total[5m]))"
_FAILED = 'sum by (service) (rate(http_requests_total{status=~"5.."}[5m]))'
_OF_SERVICE = 'service="$service"'

HEALTH = (
    Panel(
        title="Firing alerts",
        expressions={
            "all": f"count({_FIRING}) or vector(0)",
            "{{alertname}} {{service}}": FIRING,
        },
    ),
    Panel(
        title="Containers",
        expressions={
            "all": f"count({_CONTAINERS})",
            "running": f"sum({_CONTAINERS})",
            "healthy": "sum(container_health_state == bool 1)",
        },
    ),
    Panel(
        title="Published URLs: answered probes",
        expressions={"{{instance}}": "avg by (instance) (avg_over_time(probe_success[5m]))"},
        unit=Unit.SHARE,
    ),
    Panel(
        title="Failed requests (5xx)",
        # A service that never failed has no such metric.
        expressions={"{{service}}": f"({_FAILED} or 0 * {_ALL}) / {_ALL}"},
        unit=Unit.SHARE,
    ),
)
"""Is the stack healthy?"""

OVERVIEW = (
    *HEALTH,
    # Is it loaded?
    Panel(
        title="Requests",
        expressions={
            "{{service}}": _ALL,
            "{{service}} (Traefik)": "sum by (service)"
            ' (rate(traefik_entrypoint_requests_total{entrypoint=~"https?[0-9]+"}[5m]))',
        },
        unit=Unit.PER_SECOND,
    ),
    Panel(
        title="Duration, 95th percentile",
        expressions={
            "{{service}}": "histogram_quantile(0.95, sum by (service, le)"
            " (rate(http_request_duration_seconds_bucket[5m])))"
        },
        unit=Unit.SECONDS,
    ),
    Panel(
        title="CPU of the containers (cores)",
        expressions={
            "{{service}}": "sum by (service) (rate(container_cpu_usage_seconds_total[5m]))"
        },
    ),
    Panel(
        title="Memory of the containers, share of their limit",
        expressions={
            "{{service}}": "max by (service) (container_memory_working_set_bytes"
            " / (container_spec_memory_limit_bytes > 0))"
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Memory: limits of all containers, and their use",
        expressions={
            "limits": "sum(container_spec_memory_limit_bytes)",
            "use": "sum(container_memory_working_set_bytes)",
        },
        unit=Unit.BYTES,
    ),
    Panel(
        title="CPU of the host (busy)",
        expressions={
            "all cores": '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))',
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Time that processes of the host wait",
        expressions={
            "for CPU": "rate(node_pressure_cpu_waiting_seconds_total[5m])",
            "for memory": "rate(node_pressure_memory_waiting_seconds_total[5m])",
            "for disks": "rate(node_pressure_io_waiting_seconds_total[5m])",
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Memory of the host (available)",
        expressions={"available": "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"},
        unit=Unit.SHARE,
    ),
    Panel(
        title="Disks of the host (free)",
        expressions={
            "{{device}}": "min by (device)"
            " (node_filesystem_avail_bytes / node_filesystem_size_bytes)"
        },
        unit=Unit.SHARE,
    ),
    # What changed?
    Panel(
        title="Time since the last update and start",
        expressions={
            "update of the stack": "time() - max(strata_last_update_timestamp_seconds)",
            "{{service}}": "min by (service) (time() - (container_start_time_seconds"
            " and container_running == 1))",
        },
        unit=Unit.SECONDS,
    ),
    Panel(
        title="Restarts in 5 minutes",
        expressions={"{{service}}": "sum by (service) (increase(container_restarts_total[5m]))"},
    ),
)
"""The stack's first page."""

CPU_BUDGET = Panel(
    title="CPU: reserved by all containers, and their use (cores)",
    expressions={
        "host": 'count(node_cpu_seconds_total{mode="idle"})',
        # Docker gives 1024 shares to a reserved core.
        "reserved": "sum(container_spec_cpu_shares) / 1024",
        "use": "sum(rate(container_cpu_usage_seconds_total[5m]))",
    },
)
"""Of the first page, on Docker."""

BACKUPS = Panel(
    title="Days since the last backup, and since one was restored",
    expressions={
        "backup": f"(time() - {LAST_BACKUP}) / 86400",
        "restore": f"(time() - {LAST_RESTORE}) / 86400",
    },
)
"""The last one of the first page, on Docker."""

_GPUS = "max by (service, instance, gpu) ({})"

COST = (
    Panel(
        title="Memory that is reserved, and was not used in a day",
        expressions={
            "{{service}}": "sum by (service) ((container_spec_memory_limit_bytes > 0)"
            " - max_over_time(container_memory_working_set_bytes[1d]))"
        },
        unit=Unit.BYTES,
    ),
    Panel(
        title="CPU below the limit that was not used in a day (cores)",
        expressions={
            "{{service}}": "sum by (service) (container_spec_cpu_quota / container_spec_cpu_period"
            " - ignoring (cpu)"
            " max_over_time(rate(container_cpu_usage_seconds_total[5m])[1d:5m]))"
        },
    ),
    Panel(
        title="GPUs, dollars an hour",
        # Without a price in the settings, there is nothing to show.
        expressions={
            "all": f"count({_GPUS.format('DCGM_FI_DEV_GPU_UTIL')}) * scalar({PRICE})",
            "idle for 5 minutes": "(count("
            + _GPUS.format("max_over_time(DCGM_FI_DEV_GPU_UTIL[5m])")
            + f" == 0) or vector(0)) * scalar({PRICE})",
        },
    ),
)
"""What is paid for and not used."""

REQUESTS = (
    Panel(
        title="Requests by route and status",
        expressions={
            "{{route}} {{status}}": "sum by (route, status)"
            f" (rate(http_requests_total{{{_OF_SERVICE}}}[5m]))"
        },
        unit=Unit.PER_SECOND,
    ),
    Panel(
        title="Failed requests (5xx)",
        expressions={
            "all routes": f'(sum(rate(http_requests_total{{{_OF_SERVICE}, status=~"5.."}}[5m]))'
            f" or 0 * sum(rate(http_requests_total{{{_OF_SERVICE}}}[5m])))"
            f" / sum(rate(http_requests_total{{{_OF_SERVICE}}}[5m]))"
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Duration",
        expressions={
            percentile: f"histogram_quantile({quantile}, sum by (le)"
            f" (rate(http_request_duration_seconds_bucket{{{_OF_SERVICE}}}[5m])))"
            for percentile, quantile in (("median", 0.5), ("95%", 0.95), ("99%", 0.99))
        },
        unit=Unit.SECONDS,
    ),
    Panel(
        title="Duration by route, 95th percentile",
        expressions={
            "{{route}}": "histogram_quantile(0.95, sum by (route, le)"
            f" (rate(http_request_duration_seconds_bucket{{{_OF_SERVICE}}}[5m])))"
        },
        unit=Unit.SECONDS,
    ),
)
"""Of a service that counts its requests in the usual names."""

CONTAINERS = (
    Panel(
        title="CPU, share of the limit",
        expressions={
            "{{replica}}": "max by (replica)"
            f" (rate(container_cpu_usage_seconds_total{{{_OF_SERVICE}}}[5m])"
            f" / ignoring (cpu) (container_spec_cpu_quota{{{_OF_SERVICE}}}"
            f" / container_spec_cpu_period{{{_OF_SERVICE}}}))"
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Memory",
        expressions={
            "{{replica}}": "sum by (replica)"
            f" (container_memory_working_set_bytes{{{_OF_SERVICE}}})",
            "limit": f"max(container_spec_memory_limit_bytes{{{_OF_SERVICE}}})",
        },
        unit=Unit.BYTES,
    ),
    Panel(
        title="Time that it waits for its CPU limit",
        expressions={
            "{{replica}}": "max by (replica)"
            f" (rate(container_cpu_cfs_throttled_periods_total{{{_OF_SERVICE}}}[5m])"
            f" / rate(container_cpu_cfs_periods_total{{{_OF_SERVICE}}}[5m]))"
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Healthy (1) and restarts",
        expressions={
            "{{replica}} healthy": f"max by (replica) (container_health_state{{{_OF_SERVICE}}})",
            "{{replica}} restarts": f"max by (replica) (container_restarts_total{{{_OF_SERVICE}}})",
        },
    ),
)
"""Of every service."""

_TARGETS = Panel(title="Targets", expressions={"all": "count(up)", "up": "sum(up)"})
_SAMPLES = Panel(
    title="Samples written",
    expressions={"all": "sum(rate(prometheus_tsdb_head_samples_appended_total[5m]))"},
    unit=Unit.PER_SECOND,
)
_SCRAPES = Panel(
    title="Time to read the metrics of a target",
    expressions={"{{service}}": "max by (service) (scrape_duration_seconds)"},
    unit=Unit.SECONDS,
)
_ALERTS = Panel(
    title="Alerts in Alertmanager",
    expressions={"{{state}}": "sum by (state) (alertmanager_alerts)"},
)

OBSERVABILITY = (
    _TARGETS,
    _SAMPLES,
    _SCRAPES,
    Panel(
        title="Size of the metrics",
        expressions={
            "stored": 'sum({__name__=~"prometheus_tsdb_'
            '(storage_blocks|head_chunks_storage_size|wal_storage_size)_bytes"})'
        },
        unit=Unit.BYTES,
    ),
    Panel(
        title="Lines stored",
        expressions={"all": 'sum(rate(vl_rows_ingested_total{service="victoria-logs"}[5m]))'},
        unit=Unit.PER_SECOND,
    ),
    Panel(
        title="Size of the logs",
        expressions={"stored": 'sum(vl_data_size_bytes{service="victoria-logs"})'},
        unit=Unit.BYTES,
    ),
    Panel(
        title="Not sent yet",
        expressions={"{{instance}}": "sum by (instance) (vlagent_remotewrite_pending_data_bytes)"},
        unit=Unit.BYTES,
    ),
    _ALERTS,
)
"""The page of the observability services themselves, on Docker."""

OBSERVABILITY_IN_A_CLUSTER = (
    _TARGETS,
    _SAMPLES,
    _SCRAPES,
    Panel(
        title="Volumes (free)",
        expressions={
            "{{device}}": 'min by (device) (node_filesystem_avail_bytes{job="volumes"}'
            " / node_filesystem_size_bytes)"
        },
        unit=Unit.SHARE,
    ),
    Panel(
        title="Lines stored",
        expressions={"all": "sum(rate(loki_distributor_lines_received_total[5m]))"},
        unit=Unit.PER_SECOND,
    ),
    Panel(
        title="Lines that wait in an agent",
        expressions={
            "{{instance}}": 'max by (instance) (otelcol_exporter_queue_size{data_type="logs"})'
        },
    ),
    Panel(
        title="Replicas",
        expressions={
            "{{service}} wanted": f'sum by (service) ({{__name__=~"{WANTED}"}})',
            "{{service}} ready": f'sum by (service) ({{__name__=~"{READY}"}})',
        },
    ),
    _ALERTS,
)
"""The same on Kubernetes."""
