"""What an ObservabilityStack reads, shows and alerts on follows from the services of the stack."""

import json
from typing import Any

import bcrypt

from strata.components import ObservabilityStack, ObservabilityStackArgs
from strata.components.observability.gpu import GPU
from strata.model import GpuMode, GpuSharing, Monitoring, Panel
from strata.stack import Stack
from systems import reference
from tests.components.example import application, on_gpu, settings
from tests.components.stack import Recorded, compose
from tests.components.test_gpu import host_with, requests


def observed(stack: Stack) -> None:
    """`app` is called by `client`, and only these two have metrics."""
    own = Panel(title="Sales", expressions={"all": 'sales{service="$service"}'})
    app = application(stack, "app", monitoring=Monitoring(panels=(own,)))
    application(stack, "client", app.endpoint(), monitoring=Monitoring())
    application(stack, "silent")
    ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))


def file(recorded: Recorded, name: str) -> Any:
    """The content of a JSON file that ends with this name."""
    (content,) = [text for path, text in recorded.files.items() if path.endswith(name)]
    return json.loads(content)


def panels(recorded: Recorded, title: str) -> list[Any]:
    """The panels of a dashboard."""
    (page,) = (
        page
        for page in file(recorded, "dashboards.json")["dashboardsSettings"]
        if page["title"] == title
    )
    (row,) = page["rows"]
    return list(row["panels"])


def titles(recorded: Recorded, page: str) -> list[str]:
    return [panel["title"] for panel in panels(recorded, page)]


def test_prometheus_reads_itself_and_what_has_metrics() -> None:
    recorded = compose(observed).recorded
    jobs = {
        job["job_name"]: [
            target for config in job["static_configs"] for target in config["targets"]
        ]
        for job in file(recorded, "prometheus.json")["scrape_configs"]
    }
    assert jobs["app"] == ["app-1.app:8000"]
    assert jobs["client"] == ["client-1.client:8000"]
    (own,) = jobs["prometheus"]
    assert f"--web.listen-address={own}" in recorded.inputs["prometheus-1"]["command"]
    assert "silent" not in jobs


def test_prometheus_asks_for_the_password_of_the_stack() -> None:
    """And its file is the same each time, or every update would replace it."""
    first, second = (compose(observed).recorded for _ in range(2))
    (stored,) = file(first, "web.json")["basic_auth_users"].values()
    assert file(second, "web.json") == file(first, "web.json")
    passwords = {text for path, text in first.files.items() if path.endswith("/password")}
    assert any(bcrypt.checkpw(each.encode(), stored.encode()) for each in passwords)


def test_only_what_is_called_shows_requests() -> None:
    recorded = compose(observed).recorded
    requests_panel = "Requests by route and status"
    assert titles(recorded, "app")[0] == requests_panel
    assert "Sales" in titles(recorded, "app")
    assert requests_panel not in titles(recorded, "client")
    assert titles(recorded, "silent")[-1] == "Healthy (1) and restarts"


def test_nginx_serves_its_own_metrics() -> None:
    recorded = compose(reference.compose).recorded
    (job,) = (
        job
        for job in file(recorded, "prometheus.json")["scrape_configs"]
        if job["job_name"] == "gateway"
    )
    assert job["static_configs"][0]["targets"] == ["gateway-1.gateway:8082"]
    assert titles(recorded, "gateway")[0] == "Requests by route and status"
    assert "gateway-exporter" not in recorded.inputs


def test_shares_are_shown_in_percent_and_bytes_in_mib() -> None:
    shown = panels(compose(observed).recorded, "silent")
    units = {panel["title"]: (panel["unit"], panel["expr"][0]) for panel in shown}
    assert units["CPU, share of the limit"][0] == "%"
    assert units["CPU, share of the limit"][1].startswith("100 * (")
    assert units["Memory"][0] == "MiB"
    assert units["Memory"][1].startswith("1 / 1048576 * (")


def test_a_gpu_exporter_that_time_slices_shares_the_gpu_and_has_its_alerts() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "model", GpuMode.REQUIRE, sharing=GpuSharing.TIME_SLICING)
        on_gpu(
            stack,
            "gpu-exporter",
            GpuMode.REQUIRE,
            monitoring=GPU,
            sharing=GpuSharing.TIME_SLICING,
            device_ids=("0",),
            capabilities=("utility",),
        )
        ObservabilityStack("observability", ObservabilityStackArgs(stack=stack))

    recorded = compose(describe, host=host_with(16384)).recorded
    assert requests(recorded) == {"model-1": ["0"], "gpu-exporter-1": ["0"]}
    (group,) = file(recorded, "rules.json")["groups"]
    lost = next(rule for rule in group["rules"] if rule["alert"] == "GpuLost")
    assert 'service="gpu-exporter"' in lost["expr"]


def test_without_a_gpu_exporter_there_are_no_alerts_on_gpus() -> None:
    (group,) = file(compose(observed).recorded, "rules.json")["groups"]
    assert not [rule for rule in group["rules"] if rule["alert"].startswith("Gpu")]


def test_no_critical_alert_silences_the_dead_mans_switch() -> None:
    receivers = {"webhookUrl": "https://alerts.example.com"}
    chosen = settings(observability={"receivers": receivers})
    (rule,) = file(compose(observed, settings=chosen).recorded, "alertmanager.json")[
        "inhibit_rules"
    ]
    assert 'alertname!="DeadMansSwitch"' in rule["target_matchers"]
    assert rule["equal"] == ["service"]
