"""The dashboards of Grafana, written with the Grafana Foundation SDK.

They show the panels of vmui's dashboards and, besides, what vmui can't show: logs, the traces behind a
histogram, updates as marks on every graph, and the state of the stack at a glance.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from string import ascii_uppercase

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    logs,
    loki,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    LogsSortOrder,
    SortOrder,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from strata.components.observability import panels
from strata.components.observability.grafana import LOGS_UID, METRICS_UID
from strata.components.observability.pages import OVERVIEW, Page
from strata.model import File, Panel, Unit

METRICS = models.DataSourceRef(type_val="prometheus", uid=METRICS_UID)
LOGS = models.DataSourceRef(type_val="loki", uid=LOGS_UID)

UNITS = {
    Unit.NUMBER: units.Short,
    Unit.BYTES: units.BytesIEC,
    Unit.SECONDS: units.Seconds,
    Unit.PER_SECOND: "suffix:/s",
    Unit.SHARE: units.PercentUnit,
    Unit.CELSIUS: units.Celsius,
    Unit.WATTS: units.Watt,
}

# The grid has 24 columns; a line is 30 pixels high.
COLUMNS = 24
GRAPH_COLUMNS = 6
GRAPH_LINES = 8
STAT_LINES = 4
TABLE_LINES = 6
LOGS_LINES = 14
UID_LENGTH_MAXIMUM = 40

UPDATES = "strata_last_update_timestamp_seconds"
"""When the stack was last updated with `pulumi up`."""


def dashboard_files(pages: Iterable[Page], folder: str, *, logs: bool) -> tuple[File, ...]:
    """The dashboards of Grafana. `logs`: whether it can read logs."""
    return tuple(
        File(
            path=f"{folder}/{index:02}-{page.name}.json",
            content=json.dumps(_dashboard(page, logs=logs), cls=JSONEncoder) + "\n",
        )
        for index, page in enumerate(pages)
    )


def uid(page: Page) -> str:
    """The last part of a page's address: /grafana/d/service-api."""
    name = f"service-{page.service}" if page.service else page.name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return name if len(name) <= UID_LENGTH_MAXIMUM else digest[:UID_LENGTH_MAXIMUM]


def _dashboard(page: Page, *, logs: bool) -> models.Dashboard:
    builder = (
        dashboard.Dashboard(page.title)
        .uid(uid(page))
        .tags(["service" if page.service else "stack"])
        .link(_link("Stack", "stack"))
        .link(_link("Services", "service").as_dropdown(True))
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
    )
    if page is OVERVIEW:
        builder.with_row(dashboard.Row("Now"))
        for panel in panels.HEALTH:
            builder.with_panel(_stat(panel))
        builder.with_panel(_alerts()).with_row(dashboard.Row("History"))
    for panel in page.panels:
        builder.with_panel(_graph(panel))
    if page.service and logs:
        builder.with_row(dashboard.Row("Logs")).with_panel(_logs(page.service))
    content = builder.build()
    content.annotations = models.AnnotationContainer(list_val=list(_marks(page)))
    for number, each in enumerate(content.panels or (), start=1):
        each.id_val = number
    return content


def _link(title: str, tag: str) -> dashboard.DashboardLink:
    """A link to each page with the tag, for the same time."""
    return (
        dashboard.DashboardLink(title)
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([tag])
        .keep_time(True)
    )


def _graph(panel: Panel) -> timeseries.Panel:
    graph = (
        timeseries.Panel()
        .title(panel.title)
        .datasource(METRICS)
        .unit(UNITS[panel.unit])
        .min(0)
        .fill_opacity(10)
        .height(GRAPH_LINES)
        .span(GRAPH_COLUMNS)
        .legend(common.VizLegendOptions().show_legend(True))
        .tooltip(
            common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
        )
    )
    for query in _queries(panel):
        # Only histograms have exemplars: requests with their trace.
        graph.with_target(query.range().exemplar("_bucket" in query.build().expr))
    return graph


def _stat(panel: Panel) -> stat.Panel:
    current = (
        stat.Panel()
        .title(f"{panel.title}, now")
        .datasource(METRICS)
        .unit(UNITS[panel.unit])
        .color_mode(BigValueColorMode.NONE)
        .height(STAT_LINES)
        .span(COLUMNS // len(panels.HEALTH))
    )
    for query in _queries(panel):
        current.with_target(query.instant())
    return current


def _queries(panel: Panel) -> Iterator[prometheus.Dataquery]:
    for index, (legend, expression) in enumerate(panel.expressions.items()):
        yield (
            prometheus.Dataquery()
            .datasource(METRICS)
            .ref_id(ascii_uppercase[index])
            .expr(expression)
            .legend_format(legend)
        )


def _alerts() -> table.Panel:
    return (
        table.Panel()
        .title("Firing alerts, by service")
        .datasource(METRICS)
        .height(TABLE_LINES)
        .span(COLUMNS)
        .no_value("none")
        .with_target(
            prometheus.Dataquery()
            .datasource(METRICS)
            .ref_id("A")
            .expr(panels.FIRING)
            .instant()
            .format(PromQueryFormat.TABLE)
        )
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True, "Value": True}}
            )
        )
    )


def _logs(service: str) -> logs.Panel:
    return (
        logs.Panel()
        .title("Log lines")
        .datasource(LOGS)
        .height(LOGS_LINES)
        .span(COLUMNS)
        .show_time(True)
        .wrap_log_message(True)
        .enable_log_details(True)
        .sort_order(LogsSortOrder.DESCENDING)
        .with_target(loki.Dataquery().datasource(LOGS).ref_id("A").expr(f'{{service="{service}"}}'))
    )


class _Marks(models.AnnotationQuery):
    """Vertical lines on every graph, at the times that are the values of `expression`, in seconds. The SDK
    lacks the last two fields (Grafana documentation, "Annotate visualizations")."""

    def __init__(self, name: str, color: str, expression: str, title: str) -> None:
        super().__init__(
            name=name, datasource=METRICS, icon_color=color, expr=f"1000 * {expression}"
        )
        self._title = title

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self._title, "useValueForTime": True}


def _marks(page: Page) -> Iterator[models.AnnotationQuery]:
    yield _Marks("Updates", "blue", f"max({UPDATES})", "Updated with `pulumi up`")
    if page.service:
        started = f'container_start_time_seconds{{service="{page.service}"}}'
        yield _Marks("Starts", "purple", f"max by (service) ({started})", "{{service}} started")
