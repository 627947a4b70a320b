"""Grafana: the dashboards, logs and traces of a stack on Kubernetes and EKS."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from strata.components.exporter import PROBE_INTERVAL_SECONDS
from strata.components.gateway import Route
from strata.components.observability.configuration import SECRETS, USER
from strata.components.observability.parts import PASSWORD_FILE
from strata.config import ObservabilitySettings, Settings
from strata.model import (
    TMP,
    Endpoint,
    File,
    HttpProbe,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Tmpfs,
    Zone,
)

PORT = 3000
PATH = "/grafana"
DATA = "/var/lib/grafana"
PROVISIONING = "/etc/grafana/provisioning"
DASHBOARDS = "/etc/dashboards"

METRICS_UID = "metrics"
LOGS_UID = "logs"
TRACES_UID = "traces"

ROUTE = Route(
    path=PATH,
    # The gateway starts and works without it.
    endpoint=Endpoint(service="grafana", port="http", number=PORT, waits=False),
    # A page loads hundreds of files at once.
    burst=500,
    # Grafana itself ends a query after 30 s ([dataproxy] timeout).
    timeout_seconds=60,
    websocket=True,
    open_reason="Grafana has its own login",
)
"""For the gateway."""

# Each data source of the image is a process of 22 to 38 MiB, used or not.
UNUSED_PLUGINS = (
    "cloudwatch",
    "elasticsearch",
    "grafana-postgresql-datasource",
    "grafana-pyroscope-datasource",
    "influxdb",
    "jaeger",
    "mssql",
    "mysql",
    "opentsdb",
    "stackdriver",
    "zipkin",
)

# GF_SECTION_KEY: see "Configure Grafana" in Grafana's documentation.
ENVIRONMENT = {
    "GF_SERVER_SERVE_FROM_SUB_PATH": "true",
    # The gateway passes responses on as they are.
    "GF_SERVER_ENABLE_GZIP": "true",
    "GF_SECURITY_ADMIN_USER": USER,
    # A stack's gateway is reached by HTTPS only.
    "GF_SECURITY_COOKIE_SECURE": "true",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    # Whoever has the link needs no login.
    "GF_PUBLIC_DASHBOARDS_ENABLED": "false",
    "GF_SNAPSHOTS_ENABLED": "false",
    # Alertmanager sends the alerts. Rules made here would be lost with the database.
    "GF_UNIFIED_ALERTING_ENABLED": "false",
    # They have no login.
    "GF_METRICS_ENABLED": "false",
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS}/00-overview.json",
    "GF_LOG_CONSOLE_FORMAT": "json",
    # Connections to Grafana's makers.
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    # Plugins are those of the image. An update of one would fail, and leave it unusable until the next
    # start, because the root file system is read-only (github.com/grafana/grafana/issues/132528).
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PREINSTALL_AUTO_UPDATE": "false",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    "GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED": "true",
    "GF_PLUGINS_DISABLE_PLUGINS": ",".join(UNUSED_PLUGINS),
}


def grafana(
    settings: Settings,
    dashboards: tuple[File, ...],
    *,
    metrics: Endpoint,
    metrics_path: str = "",
    logs: Endpoint | None,
    traces: Endpoint | None,
) -> Service:
    """`dashboards`: from `dashboards.dashboard_files`, in DASHBOARDS. `metrics`: Prometheus, or Mimir with
    the `metrics_path` "/prometheus". `logs`: Loki, and `traces`: Tempo, if the stack has them.

    It has no volume: pages and data sources are files, and each start creates the database. A restart
    ends sessions and deletes what people saved in Grafana. On the other hand the password is always
    that of the stack's secrets.

    The memory limit follows from published measurements of Grafana 13.2.3: 291 MiB idle with the image's
    13 data source processes, 179 MiB with one of them, and 110 MiB more under 56 queries at once.
    """
    sources = _data_sources(settings.observability, f"{metrics.url}{metrics_path}", logs, traces)
    return Service(
        name="grafana",
        image="grafana",
        zone=Zone.MONITORING,
        # The image's files belong to this user.
        user="472:472",
        resources=Resources(memory_mib=512, cpu=1, cpu_reserved=0.05),
        # Grafana itself reads these files. Variables that end in __FILE would put their content into the
        # environment of the process.
        command=(
            f"cfg:security.admin_password=$__file{{{SECRETS}/password}}",
            f"cfg:security.secret_key=$__file{{{SECRETS}/secret-key}}",
        ),
        environment={
            **ENVIRONMENT,
            "GF_SERVER_ROOT_URL": f"https://{settings.domain or 'localhost'}{PATH}/",
        },
        ports=(Port(name="http", number=PORT, bound=False),),
        probe=Probe(
            check=HttpProbe(port=PORT, path="/api/health"),
            interval_seconds=PROBE_INTERVAL_SECONDS,
            # It creates its database first.
            start_period_seconds=90,
            ready_within_seconds=180,
        ),
        tmpfs=(TMP, Tmpfs(path=DATA, size_mib=128)),
        files=(
            PASSWORD_FILE,
            File(path=f"{SECRETS}/secret-key", content=Secret("grafana")),
            # JSON, which every YAML parser reads too.
            File(
                path=f"{PROVISIONING}/datasources/strata.yaml",
                content=_document({"apiVersion": 1, "datasources": list(sources)}),
            ),
            File(path=f"{PROVISIONING}/dashboards/strata.yaml", content=_document(_PROVIDERS)),
            *dashboards,
        ),
        links=tuple(each.without_waiting() for each in (metrics, logs, traces) if each is not None),
    )


def _document(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


_PROVIDERS = {
    "apiVersion": 1,
    "providers": [
        {
            "name": "strata",
            "type": "file",
            "folder": "Strata",
            "disableDeletion": True,
            "allowUiUpdates": False,
            "options": {"path": DASHBOARDS},
        }
    ],
}


def _data_sources(
    settings: ObservabilitySettings,
    metrics_url: str,
    logs: Endpoint | None,
    traces: Endpoint | None,
) -> Iterator[dict[str, Any]]:
    """The data sources, with links between them. `$$` is `$`: Grafana expands variables."""
    exemplars = [{"name": "trace_id", "datasourceUid": TRACES_UID}]
    trace = {
        "name": "trace",
        # Traefik's access log has a name of its own for it.
        "matcherRegex": '"(?:trace_id|TraceId)": ?"([0-9a-f]{32})"',
        "url": "$${__value.raw}",
        "datasourceUid": TRACES_UID,
    }
    lines = {
        "datasourceUid": LOGS_UID,
        "tags": [{"key": "service.name", "value": "service"}],
        "filterByTraceID": True,
        # A line may be written just before or after its span.
        "spanStartTimeShift": "-1m",
        "spanEndTimeShift": "1m",
    }
    yield {
        **_source("Metrics", "prometheus", METRICS_UID, metrics_url),
        "isDefault": True,
        "jsonData": {
            "httpMethod": "POST",
            "timeInterval": f"{settings.scrape_interval_seconds}s",
            **({"exemplarTraceIdDestinations": exemplars} if traces is not None else {}),
        },
    }
    if logs is not None:
        yield {
            **_source("Logs", "loki", LOGS_UID, logs.url),
            "jsonData": {"derivedFields": [trace]} if traces is not None else {},
        }
    if traces is not None:
        yield {
            **_source("Traces", "tempo", TRACES_UID, traces.url),
            "jsonData": {"tracesToLogsV2": lines} if logs is not None else {},
        }


def _source(name: str, kind: str, uid: str, url: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "uid": uid,
        "access": "proxy",
        "url": url,
        "editable": False,
    }
