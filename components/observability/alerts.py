"""The alerts that hold for every service, whatever it is.

From its cause to a receiver, an alert takes at most the scrape interval (10 s), the evaluation interval
(10 s), its `for_seconds`, and Alertmanager's `group_wait` (5 s). What reports an outage has a
`for_seconds` of at most 15, and so arrives within 60 s.
"""

from strata.components.observability.discovery import GPUS, READY, USABLE_GPUS, WANTED
from strata.model import Alert, Severity

# Of each service's requests. Its error budget for 30 days is the rest.
OBJECTIVE = 0.995
# A response within a second doesn't interrupt a user's thoughts (Nielsen, "Response Times: The 3
# Important Limits").
SLOW_SECONDS = 1
# Fewer failures are no trend: one failed request of two would be a burn rate of 100.
FAILURES_MINIMUM = 5
# Docker's health is "starting" for at most start_period (30 s) and three failures more: 18 s each for
# the parts of this stack, which are checked less often than others.
STARTING_SECONDS = 90

STOPPED = 'container_running{kind!~"job|files|prepare"} == 0'
# Docker only calls a container unhealthy after several failures. A container that starts isn't.
UNHEALTHY = (
    "container_health_state == 0 and container_running == 1"
    f" and time() - container_start_time_seconds > {STARTING_SECONDS}"
)


def _each(expression: str) -> str:
    """One result for each container, whatever its ID and image."""
    return f"max by (service, name) ({expression})"


def _burn(rate: float, long: str, short: str) -> str:
    """Requests fail `rate` times faster than the objective allows, in both windows."""

    def share(window: str) -> str:
        return (
            f'sum by (service) (rate(http_requests_total{{status=~"5.."}}[{window}]))'
            f" / sum by (service) (rate(http_requests_total[{window}]))"
        )

    limit = round(rate * (1 - OBJECTIVE), 6)
    failures = f'sum by (service) (increase(http_requests_total{{status=~"5.."}}[{long}]))'
    return (
        f"({share(long)}) > {limit} and ({share(short)}) > {limit}"
        f" and {failures} > {FAILURES_MINIMUM}"
    )


def _disks(expression: str) -> str:
    """One result for each disk, however often it is mounted."""
    return f"min by (service, instance, device) ({expression})"


FREE = _disks("node_filesystem_avail_bytes / node_filesystem_size_bytes")

OF_THE_STACK = (
    Alert(
        name="DeadMansSwitch",
        expression="vector(1)",
        summary="always fires: if it stops arriving, alerting itself is broken",
        for_seconds=0,
    ),
    Alert(
        name="ContainerDown",
        expression=_each(STOPPED),
        summary="{{ $labels.name }} isn't running",
        severity=Severity.CRITICAL,
        # An update stops a container for some seconds to replace it.
        for_seconds=15,
    ),
    Alert(
        name="ContainerUnhealthy",
        expression=_each(UNHEALTHY),
        summary="{{ $labels.name }} fails its health check",
        severity=Severity.CRITICAL,
        for_seconds=0,
    ),
    Alert(
        name="ContainerRestarted",
        expression=_each("increase(container_restarts_total[5m])") + " > 0",
        summary="a process of {{ $labels.name }} ended unexpectedly, and was restarted",
        for_seconds=0,
    ),
    Alert(
        name="ContainerRestartLoop",
        # Docker's delay starts at 0.1 s and doubles at each restart: a process that ends at once is
        # restarted 4 times within 2 s.
        expression=_each("increase(container_restarts_total[10m])") + " > 3",
        summary="{{ $labels.name }} restarted {{ $value | humanize }} times in 10 minutes",
        severity=Severity.CRITICAL,
        for_seconds=0,
    ),
    Alert(
        name="ContainerOutOfMemory",
        expression=_each("increase(container_oom_events_total[10m])") + " > 0",
        summary="the kernel killed a process of {{ $labels.name }} at its memory limit",
        for_seconds=0,
    ),
    Alert(
        name="ContainerMemoryNearLimit",
        expression=_each(
            "container_memory_working_set_bytes / (container_spec_memory_limit_bytes > 0)"
        )
        + " > 0.9",
        summary="{{ $labels.name }} uses {{ $value | humanizePercentage }} of its memory limit",
        for_seconds=300,
    ),
    Alert(
        name="ContainerCpuThrottled",
        # Threshold and duration: kubernetes-mixin, CPUThrottlingHigh.
        expression=_each(
            "rate(container_cpu_cfs_throttled_periods_total[5m])"
            " / rate(container_cpu_cfs_periods_total[5m])"
        )
        + " > 0.25",
        summary="{{ $labels.name }} waits for its CPU limit {{ $value | humanizePercentage }}"
        " of the time",
        for_seconds=900,
    ),
    Alert(
        name="TargetDown",
        # ContainerDown and ContainerUnhealthy report a target whose container has failed.
        expression='max by (service, instance) (up{job!="probes"}) == 0 unless on (instance)'
        f' label_replace({STOPPED} or {UNHEALTHY}, "instance", "$1", "replica", "(.+)")',
        summary="the metrics of {{ $labels.service }} ({{ $labels.instance }}) can't be read",
        for_seconds=30,
    ),
    Alert(
        name="UrlDown",
        expression="min by (service, instance) (probe_success) == 0",
        summary="{{ $labels.instance }} doesn't answer, or with an error",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="CertificateExpires",
        expression="min by (service, instance) (probe_ssl_earliest_cert_expiry) - time()"
        " < 14 * 86400",
        summary="the certificate of {{ $labels.instance }} expires in"
        " {{ $value | humanizeDuration }}",
        for_seconds=0,
    ),
    Alert(
        name="CertificateExpired",
        expression="min by (service, instance) (probe_ssl_earliest_cert_expiry) - time() <= 0",
        summary="the certificate of {{ $labels.instance }} has expired",
        severity=Severity.CRITICAL,
        for_seconds=0,
    ),
    # Burn rates and windows: Google, "The Site Reliability Workbook", chapter 5, table 5-8.
    Alert(
        name="ErrorBudgetBurnsFast",
        expression=f"{_burn(14.4, '1h', '5m')} or {_burn(6, '6h', '30m')}",
        summary="{{ $labels.service }} fails {{ $value | humanizePercentage }} of its requests",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="ErrorBudgetBurnsSlowly",
        expression=_burn(1, "3d", "6h"),
        summary="{{ $labels.service }} fails {{ $value | humanizePercentage }} of its requests",
        for_seconds=300,
    ),
    Alert(
        name="RequestsSlow",
        expression="histogram_quantile(0.95, sum by (service, le)"
        f" (rate(http_request_duration_seconds_bucket[5m]))) > {SLOW_SECONDS}",
        summary="5% of the requests to {{ $labels.service }} take {{ $value | humanizeDuration }}"
        " or longer",
        for_seconds=600,
    ),
    # Thresholds of the disks' alerts: mixin of node_exporter, config.libsonnet.
    Alert(
        name="DiskNearlyFull",
        expression=f"{FREE} < 0.05",
        summary="{{ $value | humanizePercentage }} of {{ $labels.device }} is free",
        for_seconds=15,
    ),
    Alert(
        name="DiskFull",
        expression=f"{FREE} < 0.03",
        summary="{{ $value | humanizePercentage }} of {{ $labels.device }} is free",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="DiskFillsWithinADay",
        # A trend needs data: none is seen in the first 3 hours, when images and caches are written.
        expression=_disks("predict_linear(node_filesystem_avail_bytes[6h], 86400)")
        + f" < 0 and {FREE} < 0.4 and "
        + _disks("node_filesystem_avail_bytes offset 3h")
        + " > 0",
        summary="{{ $labels.device }} is full within a day, at the rate of the last 6 hours",
        for_seconds=900,
    ),
    Alert(
        name="DiskOutOfInodes",
        expression=_disks("node_filesystem_files_free / (node_filesystem_files > 0)") + " < 0.03",
        summary="{{ $value | humanizePercentage }} of the inodes of {{ $labels.device }} are free",
        severity=Severity.CRITICAL,
        for_seconds=15,
    ),
    Alert(
        name="LogsBehind",
        # While the store is away, the agent retries every 2 minutes at least: up to a minute's wait, and
        # a minute's timeout. A single retry is in the window for less than `for_seconds`.
        # The agent on Kubernetes retries without counting, and its queue fills.
        expression="sum by (service) (increase(vlagent_remotewrite_retries_count_total[3m])) > 0"
        ' or max by (service) (otelcol_exporter_queue_size{data_type="logs"}'
        ' / otelcol_exporter_queue_capacity{data_type="logs"}) > 0.5',
        summary="{{ $labels.service }} can't send logs to their store, and keeps them on disk",
        for_seconds=200,
    ),
    Alert(
        name="LogsLost",
        # A timestamp is too small if the line is older than the store keeps any. Loki also rejects what
        # an agent that restarts sends again.
        expression="sum by (service) (increase(vlagent_remotewrite_packets_dropped_total[10m])"
        ' or increase(vl_rows_dropped_total{reason!~"debug|too_small_timestamp"}[10m])'
        " or increase(loki_discarded_samples_total"
        '{reason!~"greater_than_max_sample_age|too_far_behind"}[10m])) > 0',
        summary="{{ $labels.service }} dropped log lines",
        for_seconds=0,
    ),
    Alert(
        name="MetricStoreBehind",
        # How far the store is behind isn't known until a first write has succeeded. Retries follow each
        # other within seconds.
        expression="sum by (service)"
        " (increase(prometheus_remote_storage_samples_retried_total[2m]))"
        " + sum by (service)"
        " (increase(prometheus_remote_storage_samples_failed_total[2m])) > 0",
        summary="Prometheus can't send metrics to their store, and keeps them",
        for_seconds=150,
    ),
    Alert(
        name="NotificationsFail",
        expression="sum by (service, integration)"
        " (increase(alertmanager_notifications_failed_total[5m])) > 0",
        summary="alerts can't be sent to {{ $labels.integration }}",
        for_seconds=0,
    ),
    Alert(
        name="RulesFail",
        expression="sum by (service) (increase(prometheus_rule_evaluation_failures_total[5m])) > 0",
        summary="alerts can't be evaluated",
        for_seconds=0,
    ),
)

OF_THE_HOST = (
    Alert(
        name="HostMemoryOvercommitted",
        # The budget only compares the limits with all memory of the host, before an update.
        expression="max by (service) (node_memory_MemAvailable_bytes) < on () group_left ()"
        " sum((container_spec_memory_limit_bytes > 0) - container_memory_working_set_bytes)",
        summary="the containers may grow by more than the {{ $value | humanize1024 }}B that the host"
        " has available",
        for_seconds=900,
    ),
)
"""On Docker, where one host runs the whole stack."""

LAST_BACKUP = "max(strata_backup_last_success_timestamp_seconds)"
# Counts from the first backup until one is restored.
LAST_RESTORE = (
    "max(strata_restore_last_success_timestamp_seconds"
    " or strata_backup_first_success_timestamp_seconds)"
)
# A backup each day, which may take two hours longer than the one before.
BACKUP_HOURS = 26
RESTORE_DAYS = 30

OF_BACKUPS = (
    Alert(
        name="BackupMissing",
        expression=f"time() - {LAST_BACKUP} > {BACKUP_HOURS} * 3600",
        summary="the last backup is {{ $value | humanizeDuration }} old",
        for_seconds=0,
    ),
    Alert(
        name="RestoreUnverified",
        expression=f"time() - {LAST_RESTORE} > {RESTORE_DAYS} * 86400 and {LAST_BACKUP}",
        summary="no backup has been restored for {{ $value | humanizeDuration }}",
        for_seconds=0,
    ),
)
"""On Docker. A stack without a backup has none of these metrics, and they are silent."""

_PENDING = 'max by (service, name) (kube_pod_labels and on (name) kube_pod_status_phase{phase="Pending"} == 1)'
# A GPU node takes up to 15 minutes to join (controllers.GPU_NODE_SECONDS).
JOINING_SECONDS = 900

OF_A_CLUSTER = (
    Alert(
        name="PodPending",
        expression=_PENDING,
        summary="{{ $labels.name }} waits for a node, a volume or its image",
        for_seconds=JOINING_SECONDS,
    ),
    Alert(
        name="ReplicasMissing",
        # PodPending reports those that wait.
        expression=f'sum by (service) ({{__name__=~"{WANTED}"}})'
        f' - sum by (service) ({{__name__=~"{READY}"}}) > 0 unless on (service) {_PENDING}',
        summary="{{ $value }} replicas of {{ $labels.service }} are missing or not ready",
        for_seconds=JOINING_SECONDS,
    ),
    Alert(
        name="NodeGpuLost",
        expression=f"max by (service, node, resource) ({GPUS} - {USABLE_GPUS}) > 0",
        summary="{{ $value }} of {{ $labels.resource }} on {{ $labels.node }} can't be used",
        severity=Severity.CRITICAL,
        # While a device plugin restarts, kubelet counts none of its GPUs as usable.
        for_seconds=60,
    ),
)
"""Only Kubernetes has a number of replicas, or of GPUs, to compare with."""
