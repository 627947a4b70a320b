"""The panels that every stack and every service has."""

from strata.model import Panel, Unit

OVERVIEW = (
    (
        "Requests",
        (
            Panel(
                title="Requests",
                expressions={"{{service}}": "sum by (service) (rate(http_requests_total[5m]))"},
                unit=Unit.PER_SECOND,
            ),
            Panel(
                title="Failed requests (5xx)",
                expressions={
                    "{{service}}": 'sum by (service) (rate(http_requests_total{status=~"5.."}[5m]))'
                    " / sum by (service) (rate(http_requests_total[5m]))"
                },
                unit=Unit.SHARE,
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
                title="Firing alerts",
                expressions={
                    "{{alertname}} {{service}}": "sum by (alertname, service)"
                    ' (ALERTS{alertstate="firing", alertname!="DeadMansSwitch"})'
                },
            ),
        ),
    ),
    (
        "Containers",
        (
            Panel(
                title="CPU",
                expressions={
                    "{{service}}": "sum by (service) (rate(container_cpu_usage_seconds_total[5m]))"
                },
            ),
            Panel(
                title="Memory, share of the limit",
                expressions={
                    "{{service}}": "max by (service) (container_memory_working_set_bytes"
                    " / (container_spec_memory_limit_bytes > 0))"
                },
                unit=Unit.SHARE,
            ),
            Panel(
                title="Restarts",
                expressions={"{{service}}": "sum by (service) (container_restarts_total)"},
            ),
            Panel(
                title="Starts of containers (deployments)",
                expressions={
                    "{{service}}": "max by (service) (time() - container_start_time_seconds)"
                },
                unit=Unit.SECONDS,
            ),
        ),
    ),
    (
        "Host",
        (
            Panel(
                title="CPU",
                expressions={
                    "{{mode}}": 'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[5m]))'
                },
            ),
            Panel(
                title="Memory available",
                expressions={"available": "node_memory_MemAvailable_bytes"},
                unit=Unit.BYTES,
            ),
            Panel(
                title="Disk free",
                expressions={"{{device}}": "min by (device) (node_filesystem_avail_bytes)"},
                unit=Unit.BYTES,
            ),
            Panel(
                title="Load",
                expressions={"1 minute": "node_load1", "15 minutes": "node_load15"},
            ),
        ),
    ),
)
"""The rows of the stack's first page."""

OF_EACH_SERVICE = (
    (
        "Requests",
        (
            Panel(
                title="Requests by route",
                expressions={
                    "{{route}} {{status}}": "sum by (route, status)"
                    ' (rate(http_requests_total{service="$service"}[5m]))'
                },
                unit=Unit.PER_SECOND,
            ),
            Panel(
                title="Duration",
                expressions={
                    percentile: f"histogram_quantile({quantile}, sum by (le)"
                    ' (rate(http_request_duration_seconds_bucket{service="$service"}[5m])))'
                    for percentile, quantile in (("median", 0.5), ("95 %", 0.95), ("99 %", 0.99))
                },
                unit=Unit.SECONDS,
            ),
        ),
    ),
    (
        "Containers",
        (
            Panel(
                title="CPU",
                expressions={
                    "{{name}}": 'rate(container_cpu_usage_seconds_total{service="$service"}[5m])'
                },
            ),
            Panel(
                title="Memory",
                expressions={
                    "{{name}}": 'container_memory_working_set_bytes{service="$service"}',
                    "limit": 'max(container_spec_memory_limit_bytes{service="$service"})',
                },
                unit=Unit.BYTES,
            ),
        ),
    ),
)
"""The rows of every service's page, before those of its own."""
