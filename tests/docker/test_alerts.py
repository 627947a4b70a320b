"""The alerts and the configuration of Prometheus and Alertmanager, checked by their own tools."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from strata.components import ray_cluster
from strata.components.engines import (
    consul,
    kurrentdb,
    opensearch,
    postgres_backup,
    questdb,
    redis_cluster,
    restic_backup,
)
from strata.components.gateways import traefik
from strata.components.observability.configuration import rules
from strata.components.observability.gpu import GPU
from strata.config import Settings
from strata.config.settings import BackupSettings
from strata.images.choose import choose
from strata.images.source import resolve
from systems import reference
from tests.components.stack import compose
from tests.docker import images
from tests.docker.alert_cases import CASES
from tests.docker.conftest import put_files

SETTINGS = Settings.model_validate(
    {
        "profiles": ["traces"],
        "observability": {
            "receivers": {
                "webhookUrl": "https://alerts.example.com/strata",
                "slackUrl": "https://hooks.example.com/services/a/b/c",
                "pagerdutyKey": "0" * 32,
                "mail": {
                    "to": "team@example.com",
                    "sender": "strata@example.com",
                    "smarthost": "mail.example.com:587",
                    "username": "strata",
                    "password": "a password",
                },
            }
        },
    }
)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The files of the reference system's services, by the path in the volume of files."""
    return compose(reference.compose, settings=SETTINGS).recorded.files


def secrets_of(service: str, files: dict[str, str]) -> dict[str, str]:
    """The files in /run/secrets of a service, by their path in its container."""
    prefix = f"/{service}-run-secrets/"
    return {
        f"/run/secrets/{path.removeprefix(prefix)}": content
        for path, content in files.items()
        if path.startswith(prefix)
    }


@contextmanager
def started(
    engine: Any, image: str, files: dict[str, str], *command: str, network: str = "none"
) -> Iterator[Any]:
    """A container of an image that also has these files, and runs a command."""
    images.ensure(engine, image)
    container = engine.containers.create(
        resolve(image, choose()[0]), list(command), entrypoint=[], network_mode=network
    )
    try:
        put_files(container, files)
        container.start()
        yield container
    finally:
        container.remove(force=True, v=True)


def run(engine: Any, image: str, files: dict[str, str], *command: str) -> tuple[int, str]:
    """The status and output of a command in such a container."""
    with started(engine, image, files, *command) as container:
        status: int = container.wait()["StatusCode"]
        return status, container.logs().decode()


def test_each_alert_fires_for_its_cause_and_not_otherwise(
    engine: Any, files: dict[str, str]
) -> None:
    # What the reference system doesn't have.
    more = json.loads(
        rules(
            (
                ("gateway", traefik.certificate_missing("app.example.com")),
                *(("gpu-exporter", alert) for alert in GPU.alerts),
                *(("redis-cluster", alert) for alert in redis_cluster.MONITORING.alerts),
                *(("search", alert) for alert in opensearch.MONITORING.alerts),
                *(("postgres", alert) for alert in postgres_backup.alerts(BackupSettings())),
                *(("redis", alert) for alert in restic_backup.alerts(BackupSettings())),
                *(("series", alert) for alert in questdb.MONITORING.alerts),
                *(("ray-worker", alert) for alert in ray_cluster.MONITORING.alerts),
                *(("eventstore", alert) for alert in kurrentdb.MONITORING.alerts),
                *(("consul", alert) for alert in consul.MONITORING.alerts),
            )
        )
    )
    known = {
        rule["alert"]: rule
        for content in (json.loads(files["/prometheus-run-secrets/rules.json"]), more)
        for rule in content["groups"][0]["rules"]
    }
    assert {case.alert for case in CASES} == set(known)
    content: dict[str, Any] = {}
    for number, case in enumerate(CASES):
        rule = known[case.alert]
        # promtool evaluates every rule of a file at every step, so each alert has its own.
        content[f"rules/{number}"] = {"groups": [{"name": case.alert, "rules": [rule]}]}
        content[f"tests/{number}"] = {
            "rule_files": [f"../rules/{number}"],
            "evaluation_interval": "15s",
            "tests": list(case.tests(rule["labels"]["severity"])),
        }
    status, output = run(
        engine,
        "prometheus",
        {f"/{path}": json.dumps(value) for path, value in content.items()},
        *("sh", "-c", "promtool check rules /rules/* && promtool test rules /tests/*"),
    )
    assert status == 0, output


def test_every_panel_has_valid_expressions(engine: Any, files: dict[str, str]) -> None:
    dashboards = json.loads(files["/prometheus-run-secrets/dashboards.json"])["dashboardsSettings"]
    expressions = [
        expression
        for dashboard in dashboards
        for row in dashboard["rows"]
        for panel in row["panels"]
        for expression in panel["expr"]
    ]
    assert expressions
    recorded = [
        {"record": f"panel:{index}", "expr": expression}
        for index, expression in enumerate([*expressions, *_gpu_expressions()])
    ]
    content = json.dumps({"groups": [{"name": "panels", "rules": recorded}]})
    status, output = run(
        engine, "prometheus", {"/panels": content}, "promtool", "check", "rules", "/panels"
    )
    assert status == 0, output


def _gpu_expressions() -> list[str]:
    return [
        expression.replace("$service", "gpu-exporter")
        for panel in GPU.panels
        for expression in panel.expressions.values()
    ]


def test_promtool_accepts_the_configuration_of_prometheus(
    engine: Any, files: dict[str, str]
) -> None:
    status, output = run(
        engine,
        "prometheus",
        secrets_of("prometheus", files),
        *(
            "promtool",
            "check",
            "config",
            "--lint=all",
            "--lint-fatal",
            "/run/secrets/prometheus.json",
        ),
    )
    assert status == 0, output


def test_amtool_accepts_the_configuration_of_alertmanager(
    engine: Any, files: dict[str, str]
) -> None:
    status, output = run(
        engine,
        "alertmanager",
        secrets_of("alertmanager", files),
        *("amtool", "check-config", "/run/secrets/alertmanager.json"),
    )
    assert status == 0, output
