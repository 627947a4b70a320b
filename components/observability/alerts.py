"""The alerts that hold for every service, whatever it is."""

from strata.model import Alert, Severity

# Error budget of a month at 99.5 %: burn rates and windows of Google's SRE Workbook, "Alerting on SLOs", table 5-8.
OBJECTIVE = 0.995


def _burn(rate: float, long: str, short: str) -> str:
    """Requests fail `rate` times faster than the objective allows, in both windows."""

    def share(window: str) -> str:
        return (
            f'sum by (service) (rate(http_requests_total{{status=~"5.."}}[{window}]))'
            f" / sum by (service) (rate(http_requests_total[{window}]))"
        )

    limit = round(rate * (1 - OBJECTIVE), 6)
    return f"({share(long)}) > {limit} and ({share(short)}) > {limit}"


OF_THE_STACK = (
    Alert(
        name="DeadMansSwitch",
        expression="vector(1)",
        summary="always fires: if it stops arriving, alerting itself is broken",
        for_seconds=0,
    ),
    Alert(
        name="ContainerDown",
        expression='container_running{kind!~"job|files|prepare"} == 0',
        summary="{{ $labels.name }} doesn't run",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="ContainerUnhealthy",
        expression="container_health_state == 0 and on (name) container_running == 1",
        summary="{{ $labels.name }} fails its health check",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="ContainerRestarts",
        expression="increase(container_restarts_total[10m]) > 2",
        summary="{{ $labels.name }} restarted {{ $value | humanize }} times in 10 minutes",
        for_seconds=0,
    ),
    Alert(
        name="ContainerOutOfMemory",
        expression="increase(container_oom_events_total[10m]) > 0",
        summary="the kernel ended a process of {{ $labels.name }}, which reached its memory limit",
        for_seconds=0,
    ),
    Alert(
        name="ContainerMemoryNearLimit",
        expression="container_memory_working_set_bytes"
        " / (container_spec_memory_limit_bytes > 0) > 0.9",
        summary="{{ $labels.name }} uses {{ $value | humanizePercentage }} of its memory limit",
        for_seconds=300,
    ),
    Alert(
        name="ContainerCpuThrottled",
        expression="rate(container_cpu_cfs_throttled_periods_total[5m])"
        " / rate(container_cpu_cfs_periods_total[5m]) > 0.5",
        summary="{{ $labels.name }} waits for its CPU limit in {{ $value | humanizePercentage }}"
        " of the time",
        for_seconds=900,
    ),
    Alert(
        name="TargetDown",
        expression='up{job!="probes"} == 0',
        summary="the metrics of {{ $labels.service }} ({{ $labels.instance }}) can't be read",
        for_seconds=30,
    ),
    Alert(
        name="UrlDown",
        expression="probe_success == 0",
        summary="{{ $labels.instance }} doesn't answer",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="CertificateExpires",
        expression="probe_ssl_earliest_cert_expiry - time() < 14 * 86400",
        summary="the certificate of {{ $labels.instance }} expires in"
        " {{ $value | humanizeDuration }}",
    ),
    Alert(
        name="ErrorBudgetBurnsFast",
        expression=_burn(14.4, "1h", "5m"),
        summary="{{ $labels.service }} fails {{ $value | humanizePercentage }} of its requests",
        severity=Severity.CRITICAL,
    ),
    Alert(
        name="ErrorBudgetBurns",
        expression=_burn(6, "6h", "30m"),
        summary="{{ $labels.service }} fails {{ $value | humanizePercentage }} of its requests",
        for_seconds=300,
    ),
    Alert(
        name="DiskFull",
        expression="min without (mountpoint) (node_filesystem_avail_bytes"
        " / node_filesystem_size_bytes) < 0.1",
        summary="{{ $value | humanizePercentage }} of {{ $labels.device }} is free",
        severity=Severity.CRITICAL,
    ),
    Alert(
        name="DiskFillsWithinADay",
        expression="min without (mountpoint) (predict_linear(node_filesystem_avail_bytes[6h],"
        " 86400)) < 0 and min without (mountpoint) (node_filesystem_avail_bytes"
        " / node_filesystem_size_bytes) < 0.4",
        summary="{{ $labels.device }} is full within a day, at the rate of the last 6 hours",
        for_seconds=900,
    ),
    Alert(
        name="LogsBehind",
        expression="sum by (service) (vlagent_remotewrite_pending_data_bytes) > 100 * 1024 * 1024",
        summary="{{ $labels.service }} has {{ $value | humanize1024 }}B of logs to send",
        for_seconds=300,
    ),
)
