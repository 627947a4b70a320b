"""Grafana's dashboards, data sources and service. No test here runs Grafana."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pulumi
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from strata.components import Gateway, GatewayArgs
from strata.components.observability import configuration, dashboards, grafana, panels
from strata.components.observability.pages import Page, pages
from strata.config import PlatformName, Settings
from strata.model import Endpoint, File, Panel, Service, Unit
from strata.stack import Stack
from systems import reference
from tests.components import stack as docker
from tests.components.example import application
from tests.components.kubernetes.stack import Composed, compose
from tests.components.kubernetes.test_hardening import OPEN, findings
from tests.project import REPOSITORY

register_default_plugins()
CLUSTER = Settings(platform=PlatformName.KUBERNETES)


@pytest.fixture(scope="module")
def shown() -> tuple[Page, ...]:
    """The pages of the reference system."""
    stacks: list[Stack] = []

    def describe(stack: Stack) -> None:
        reference.compose(stack)
        stacks.append(stack)

    docker.compose(describe)
    composition = stacks[0].composition
    called = {link.server for link in composition.links}
    return pages(composition.services, called, panels.OBSERVABILITY)


@pytest.fixture(scope="module")
def files(shown: tuple[Page, ...]) -> tuple[File, ...]:
    return dashboards.dashboard_files(shown, grafana.DASHBOARDS, logs=True)


@pytest.fixture(scope="module")
def written(files: tuple[File, ...]) -> list[dict[str, Any]]:
    return [json.loads(str(file.content)) for file in files]


def service(
    files: tuple[File, ...], settings: Settings = CLUSTER, *, traces: bool = True
) -> Service:
    def endpoint(name: str) -> Endpoint:
        return Endpoint(service=name, port="http", number=8000)

    return grafana.grafana(
        settings,
        files,
        metrics=endpoint("mimir"),
        metrics_path="/prometheus",
        logs=endpoint("loki"),
        traces=endpoint("tempo") if traces else None,
    )


def data_sources(described: Service) -> list[dict[str, Any]]:
    (content,) = [file.content for file in described.files if "/datasources/" in file.path]
    found: list[dict[str, Any]] = json.loads(str(content))["datasources"]
    return found


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The data source and the expression of every query."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["datasource"]["uid"], target["expr"]


def unscaled(expression: str) -> str:
    """An expression of vmui without the factor of its unit."""
    for factor in ("100 * (", "1 / 1048576 * ("):
        if expression.startswith(factor):
            return expression.removeprefix(factor).removesuffix(")")
    return expression


def lost(written: Any, read: Any, path: str = "") -> Iterator[str]:
    """The paths of what the SDK doesn't know, or knows in another form. It adds defaults."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from lost(value, read.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for one, other in zip(written, read, strict=True):
            yield from lost(one, other, f"{path}[]")
    elif written != read:
        yield path


def test_the_sdk_reads_what_it_wrote(written: list[dict[str, Any]]) -> None:
    for dashboard in written:
        again = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
        # The SDK has no fields for these two.
        assert set(lost(dashboard, again)) == {
            ".annotations.list[].titleFormat",
            ".annotations.list[].useValueForTime",
        }


def test_grafana_and_vmui_ask_the_same(
    shown: tuple[Page, ...], written: list[dict[str, Any]]
) -> None:
    (file,) = configuration.dashboards(shown)
    vmui = json.loads(str(file.content))["dashboardsSettings"]
    for page, dashboard in zip(vmui, written, strict=True):
        (row,) = page["rows"]
        of_vmui = {unscaled(expression) for panel in row["panels"] for expression in panel["expr"]}
        assert {expr for uid, expr in queries(dashboard) if uid == "metrics"} == of_vmui
        assert "$service" not in json.dumps(dashboard)


def test_no_panel_overlaps_another(written: list[dict[str, Any]]) -> None:
    for dashboard in written:
        places = [(panel["title"], panel["gridPos"]) for panel in dashboard["panels"]]
        for _, place in places:
            assert place["x"] + place["w"] <= 24
        for (one, first), (other, second) in combinations(places, 2):
            apart = (
                first["x"] + first["w"] <= second["x"]
                or second["x"] + second["w"] <= first["x"]
                or first["y"] + first["h"] <= second["y"]
                or second["y"] + second["h"] <= first["y"]
            )
            assert apart, (dashboard["title"], one, other)


def test_what_grafana_tells_apart_is_unique(written: list[dict[str, Any]]) -> None:
    for key in ("uid", "title"):
        values = [dashboard[key] for dashboard in written]
        assert len(set(values)) == len(values)
    for dashboard in written:
        for key in ("id", "title"):
            values = [panel[key] for panel in dashboard["panels"]]
            assert len(set(values)) == len(values), dashboard["title"]


def test_an_identifier_is_short_enough_for_grafana() -> None:
    names = ["api", "a" * 63, "a" * 62 + "b"]
    uids = [dashboards.uid(Page(title=name, service=name, panels=())) for name in names]
    assert uids[0] == "service-api"
    assert len(set(uids)) == 3
    assert all(len(uid) <= 40 for uid in uids)


def test_every_reference_to_a_data_source_has_one(
    files: tuple[File, ...], written: list[dict[str, Any]]
) -> None:
    sources = data_sources(service(files))
    types = {source["uid"]: source["type"] for source in sources}
    assert [source["uid"] for source in sources if source.get("isDefault")] == ["metrics"]

    def references(value: Any) -> Iterator[tuple[str, str | None]]:
        if isinstance(value, list):
            for one in value:
                yield from references(one)
        elif isinstance(value, dict):
            if "datasourceUid" in value:
                yield value["datasourceUid"], None
            if isinstance(source := value.get("datasource"), dict):
                yield source["uid"], source["type"]
            for one in value.values():
                yield from references(one)

    found = list(references([written, [source["jsonData"] for source in sources]]))
    assert {uid for uid, _ in found} == set(types)
    assert all(kind in (None, types[uid]) for uid, kind in found)


def test_without_traces_nothing_refers_to_their_store(files: tuple[File, ...]) -> None:
    described = service(files, traces=False)
    assert [link.service for link in described.links] == ["mimir", "loki"]
    assert "traces" not in json.dumps(data_sources(described))
    # Nor do the dashboards.
    assert '"tempo"' not in "".join(str(file.content) for file in files)


def test_traces_are_a_click_away_from_logs_and_histograms(
    files: tuple[File, ...], written: list[dict[str, Any]]
) -> None:
    by_uid = {source["uid"]: source for source in data_sources(service(files))}
    assert by_uid["metrics"]["url"] == "http://mimir:8000/prometheus"
    (derived,) = by_uid["logs"]["jsonData"]["derivedFields"]
    # Grafana's provisioning expands $NAME, and reads $$ as $.
    assert derived["url"] == "$${__value.raw}"
    targets = [
        target
        for dashboard in written
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        if target["datasource"]["uid"] == "metrics" and target.get("range")
    ]
    assert {target["exemplar"] for target in targets} == {True, False}
    for target in targets:
        assert target["exemplar"] == ("_bucket" in target["expr"])


@pytest.mark.parametrize(
    "line",
    [
        '{"time": "2026-11-28T15:45:58Z", "trace_id": "8f69764f6bb4102bd416cb2be7d622d6"}',
        '{"time":"2026-11-28T15:45:58Z","trace_id":"8f69764f6bb4102bd416cb2be7d622d6","path":"/"}',
        '{"SpanId":"8f69764f6bb4102b","TraceId":"8f69764f6bb4102bd416cb2be7d622d6","level":"info"}',
    ],
    ids=["application", "nginx", "traefik"],
)
def test_the_trace_of_a_log_line_is_found(files: tuple[File, ...], line: str) -> None:
    (logs,) = [one for one in data_sources(service(files)) if one["uid"] == "logs"]
    match = re.search(logs["jsonData"]["derivedFields"][0]["matcherRegex"], line)
    assert match is not None
    assert match[1] == "8f69764f6bb4102bd416cb2be7d622d6"


def test_the_page_of_a_service_has_its_log_lines(
    shown: tuple[Page, ...], written: list[dict[str, Any]]
) -> None:
    for page, dashboard in zip(shown, written, strict=True):
        lines = [expr for uid, expr in queries(dashboard) if uid == "logs"]
        assert lines == ([f'{{service="{page.service}"}}'] if page.service else [])


def test_updates_and_starts_are_marked_on_graphs(
    shown: tuple[Page, ...], written: list[dict[str, Any]]
) -> None:
    for page, dashboard in zip(shown, written, strict=True):
        marks = {mark["name"]: mark for mark in dashboard["annotations"]["list"]}
        assert set(marks) == ({"Updates", "Starts"} if page.service else {"Updates"})
        for mark in marks.values():
            # The value is a time in milliseconds.
            assert mark["useValueForTime"]
            assert mark["expr"].startswith("1000 * max")
        if page.service:
            assert f'service="{page.service}"' in marks["Starts"]["expr"]


def test_the_overview_shows_the_state_of_the_stack_first(written: list[dict[str, Any]]) -> None:
    panels_of = written[0]["panels"]
    assert [panel["type"] for panel in panels_of][:7] == [
        "row",
        *["stat"] * len(panels.HEALTH),
        "table",
        "row",
    ]
    for panel in panels_of[1:6]:
        # Not the last value of something that is gone.
        assert all(target["instant"] for target in panel["targets"])


def test_each_unit_has_one_of_grafana() -> None:
    assert set(dashboards.UNITS) == set(Unit)


def test_a_panel_with_more_queries_than_letters_is_an_error() -> None:
    many = Panel(title="Many", expressions={str(index): f"m{index}" for index in range(27)})
    page = Page(title="Page", panels=(many,))
    with pytest.raises(IndexError):
        dashboards.dashboard_files([page], "/dashboards", logs=True)


# -- the service


def observed(files: tuple[File, ...]) -> Composed:
    """Grafana and its gateway on Kubernetes, with stand-ins for what Grafana reads."""

    def describe(stack: Stack) -> None:
        for name in ("mimir", "loki", "tempo"):
            application(stack, name)
        observer = pulumi.ComponentResource("test:components:Observer", "observer")
        stack.add([service(files)], observer)
        Gateway("gateway", GatewayArgs(stack=stack, routes=(grafana.ROUTE,)))

    return compose(describe)


def test_the_files_are_objects_that_kubernetes_takes(files: tuple[File, ...]) -> None:
    recorded = observed(files).recorded
    maps = [one for name, one in recorded.of("ConfigMap").items() if name.startswith("grafana/")]
    sizes = [sum(len(content.encode()) for content in one["data"].values()) for one in maps]
    assert 0 < max(sizes) < 1024 * 1024
    names = {name for one in maps for name in one["data"]}
    home = grafana.ENVIRONMENT["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home.rpartition("/")[2] in names
    (secret,) = [one for name, one in recorded.of("Secret").items() if name.startswith("grafana/")]
    assert set(secret["stringData"]) == {"password", "secret-key"}


def test_the_password_is_in_no_argument_and_no_variable(files: tuple[File, ...]) -> None:
    recorded = observed(files).recorded
    (secret,) = [one for name, one in recorded.of("Secret").items() if name.startswith("grafana/")]
    pod = json.dumps(recorded.pod("grafana"))
    for value in secret["stringData"].values():
        assert value not in pod
    # Kubernetes expands only $(NAME).
    assert (
        "cfg:security.admin_password=$__file{/run/secrets/password}"
        in (recorded.container("grafana")["args"])
    )


def test_the_policy_pack_finds_nothing_in_it(files: tuple[File, ...]) -> None:
    found = [one for one in findings(observed(files).recorded) if "grafana" in str(one)]
    # Nothing collects metrics here.
    assert {one.rule for one in found} <= {*OPEN, "observed"}


def test_a_program_imports_the_sdk_only_where_there_is_a_grafana() -> None:
    code = "import sys, systems.reference; sys.exit('grafana_foundation_sdk' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_links_name_the_public_host(files: tuple[File, ...]) -> None:
    settings = Settings.model_validate({"platform": "eks", "domain": "search.example.com"})
    url = service(files, settings).environment["GF_SERVER_ROOT_URL"]
    assert url == "https://search.example.com/grafana/"
