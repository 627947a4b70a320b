"""How a service is observed: where its metrics are, and which alerts and panels it brings."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SERVICE = "$service"
"""Stands for the name of the observed service in the expressions of alerts and panels."""


class Severity(StrEnum):
    CRITICAL = "critical"
    """Users are affected, or will be within hours."""
    WARNING = "warning"
    """Somebody should look at it during working hours."""


class Unit(StrEnum):
    """The unit of a panel."""

    NUMBER = "number"
    BYTES = "bytes"
    SECONDS = "seconds"
    PER_SECOND = "per second"
    SHARE = "share"
    """From 0 to 1."""
    CELSIUS = "celsius"
    WATTS = "watts"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Fires once `expression` (PromQL) has had a result for `for_seconds`.

    `name` is unique in a stack, and the anchor of its runbook in docs/runbooks.md. `summary` may
    use Prometheus' templates, such as `{{ $labels.service }}`.
    """

    name: str
    expression: str
    summary: str
    severity: Severity = Severity.WARNING
    for_seconds: int = 60


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A graph. `expressions` (PromQL) are keyed by the legend of their lines, which may name labels
    in double braces: `{{replica}}`."""

    title: str
    expressions: Mapping[str, str]
    unit: Unit = Unit.NUMBER


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """How a service is observed beyond what every container has (health, restarts, CPU, memory,
    logs).

    Prometheus scrapes `path` on the port named `port` of the service, or of its exporter if it has
    one, and /metrics on further ports of the service itself, `own_ports`. `alerts` and `panels` contain
    `$service` for the service's name.
    """

    port: str = "http"
    path: str = "/metrics"
    own_ports: tuple[str, ...] = ()
    alerts: tuple[Alert, ...] = ()
    panels: tuple[Panel, ...] = ()
