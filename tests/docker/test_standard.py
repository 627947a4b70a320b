"""The configuration of the standard set, checked by the parts' own tools: those of Debian's Prometheus
and Alertmanager."""

import json
from pathlib import Path
from typing import Any

import pytest

from strata.components.observability.discovery import RECORDED, TOKEN
from tests.components.standard import file, files, jobs, reference_on
from tests.components.test_remote import services as services_of
from tests.docker.alert_cases import Case
from tests.docker.cluster_cases import CASES
from tests.docker.test_alerts import run
from tests.relabel import relabel_series

OTELCOL = str(Path(__file__).with_name("otelcol"))
STATES = {
    "service": "kube-state-metrics",
    "instance": "kube-state-metrics-1",
    "job": "kube-state-metrics",
}


def relabelled(case: Case, severity: str) -> list[dict[str, Any]]:
    """promtool's tests of a case, with metrics as Prometheus stores them."""
    rules = jobs(reference_on("kubernetes"))["kube-state-metrics"]["metric_relabel_configs"]
    tests = list(case.tests(severity))
    for test in tests:
        for series in test["input_series"]:
            if series["series"].startswith("kube_"):
                stored = relabel_series(series["series"], STATES, rules)
                assert stored is not None, series
                series["series"] = stored
    return tests


def test_alerts_on_containers_hold_for_pods(engine: Any) -> None:
    (group,) = file(reference_on("kubernetes")["prometheus"], "rules.json")["groups"]
    recorded = [rule for rule in group["rules"] if "record" in rule]
    assert [rule["record"] for rule in recorded] == list(RECORDED)
    known = {rule["alert"]: rule for rule in group["rules"] if "alert" in rule}
    content: dict[str, Any] = {}
    for case in CASES:
        rule = known[case.alert]
        content[f"rules/{case.alert}"] = {
            "groups": [{"name": case.alert, "rules": [*recorded, rule]}]
        }
        content[f"tests/{case.alert}"] = {
            "rule_files": [f"../rules/{case.alert}"],
            "evaluation_interval": "15s",
            "tests": relabelled(case, rule["labels"]["severity"]),
        }
    status, output = run(
        engine,
        "prometheus",
        {f"/{path}": json.dumps(value) for path, value in content.items()},
        *("sh", "-c", "promtool check rules /rules/* && promtool test rules /tests/*"),
    )
    assert status == 0, output


def test_promtool_accepts_the_configuration_of_prometheus(engine: Any) -> None:
    for platform in ("kubernetes", "eks"):
        account = {f"{TOKEN}/token": "token", f"{TOKEN}/ca.crt": "certificate"}
        status, output = run(
            engine,
            "prometheus",
            {**files(reference_on(platform, "traces")["prometheus"]), **account},
            *("promtool", "check", "config", "--lint=all", "--lint-fatal"),
            "/run/secrets/prometheus.json",
        )
        assert status == 0, output


def test_amtool_accepts_the_configuration_of_alertmanager(engine: Any) -> None:
    status, output = run(
        engine,
        "alertmanager",
        files(reference_on("kubernetes")["alertmanager"]),
        *("amtool", "check-config", "/run/secrets/alertmanager.json"),
    )
    assert status == 0, output


@pytest.mark.parametrize("outside", [False, True], ids=["own stores", "outside"])
def test_a_collector_accepts_its_configurations(engine: Any, outside: bool) -> None:
    """Of version 0.149, not of the image's own: newer modules aren't all on the Go proxy."""
    login = {"url": "https://store.example.com", "username": "me", "password": "secret"}
    services = (
        services_of("kubernetes", loki=login, otlp=login)
        if outside
        else reference_on("kubernetes", "traces")
    )
    for name in ("log-agent", "trace-collector"):
        command = ("/otelcol/otelcol", "validate", f"--config=/run/secrets/{name}.json")
        status, output = run(engine, OTELCOL, files(services[name]), *command)
        assert status == 0, output
    given = files(services["log-agent"])
    path = "/run/secrets/log-agent.json"
    wrong = given | {path: given[path].replace('"include"', '"inclde"')}
    status, output = run(engine, OTELCOL, wrong, *command[:2], f"--config={path}")
    assert status != 0
    assert "inclde" in output
