"""The configuration of the standard set, checked by the parts' own tools: those of Debian's Prometheus
and Alertmanager."""

import gzip
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from strata.components.observability.discovery import RECORDED, TOKEN
from strata.components.observability.remote import AUTHORIZATION_FILE, PASSWORD_FILE
from tests.components.standard import file, files, jobs, reference_on
from tests.components.test_remote import secret
from tests.components.test_remote import services as services_of
from tests.docker.alert_cases import Case
from tests.docker.cluster_cases import CASES
from tests.docker.conftest import bridge_address, put_files
from tests.docker.images import OTELCOL
from tests.docker.test_alerts import run, started
from tests.relabel import relabel_series
from tests.wait import until

LOGIN = "Basic bWU6c2VjcmV0"
"""Of the user `me` with the password `secret`."""
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


class Store:
    """A store outside of the stack: it accepts all requests with the login. `received`: their paths,
    headers and bodies."""

    def __init__(self, address: str) -> None:
        received: list[tuple[str, Mapping[str, str], bytes]] = []
        rejected: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Authorization"] == LOGIN:
                    received.append((self.path, dict(self.headers), body))
                    self.send_response(200)
                else:
                    rejected.append(self.path)
                    self.send_response(401)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.received, self.rejected = received, rejected
        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.login = {
            "url": f"http://{address}:{self.server.server_port}",
            "username": "me",
            "password": "secret",
        }
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def store(engine: Any) -> Iterator[Store]:
    store = Store(bridge_address(engine))
    yield store
    store.server.shutdown()
    assert store.rejected == []


def test_the_log_agent_sends_each_line_with_its_service(engine: Any, store: Store) -> None:
    """Also one that the container engine wrote in parts, and none of another namespace."""
    agent = services_of("kubernetes", loki=store.login)["log-agent"]
    content = {
        **files(agent),
        AUTHORIZATION_FILE: secret(agent, AUTHORIZATION_FILE),
        "/var/log/pods/strata-test_api-7d9f-x2x4z_0a1b/api/0.log": (
            '2026-11-29T12:00:00.000000001Z stdout F {"level": "info", "id": "doc-1"}\n'
            "2026-11-29T12:00:00.000000002Z stderr P a long \n"
            "2026-11-29T12:00:00.000000003Z stderr F line\n"
        ),
        "/var/log/pods/other_api-7d9f-x2x4z_0a1b/api/0.log": (
            "2026-11-29T12:00:00.000000001Z stdout F of somebody else\n"
        ),
    }
    command = ("/otelcol/otelcol", "--config=/run/secrets/log-agent.json")

    def lines() -> list[tuple[dict[str, str], str]]:
        return [
            (
                {one.key: one.value.string_value for one in resource.resource.attributes},
                record.body.string_value,
            )
            for path, headers, body in store.received
            for resource in _logs(path, headers, body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    labels = {"service": "api", "pod": "api-7d9f-x2x4z", "stack": "test", "system": "reference"}
    with started(engine, OTELCOL, content, *command, network="bridge"):
        until(lambda: len(lines()) >= 2, "the lines arrive")
    assert lines() == [(labels, '{"level": "info", "id": "doc-1"}'), (labels, "a long line")]


def _logs(path: str, headers: Mapping[str, str], body: bytes) -> ExportLogsServiceRequest:
    assert path == "/otlp/v1/logs"
    assert headers["Content-Encoding"] == "gzip"
    return ExportLogsServiceRequest.FromString(gzip.decompress(body))


def test_a_replaced_prometheus_forgets_what_has_ended(engine: Any) -> None:
    prometheus = services_of("docker", scrapeIntervalSeconds=1)["prometheus"]
    content = files(prometheus)
    path = "/run/secrets/prometheus.json"
    queries = (each for each in prometheus.command if str(each).startswith("--query."))
    command = (
        "prometheus",
        f"--config.file={path}",
        "--storage.tsdb.path=/tmp",
        *map(str, queries),
    )
    with started(engine, "prometheus", content, *command) as container:

        def known(instance: str) -> bool:
            expression = f'up{{instance="{instance}"}}'
            query = ["promtool", "query", "instant", "http://127.0.0.1:9090", expression]
            return instance in container.exec_run(query).output.decode()

        until(lambda: known("prometheus-1"), "the first instance is scraped")
        put_files(container, {path: content[path].replace("prometheus-1", "prometheus-2")})
        container.restart()
        until(lambda: known("prometheus-2"), "the second instance is scraped")
        until(lambda: not known("prometheus-1"), "the first one has ended", seconds=30)


def test_prometheus_writes_to_a_store_outside(engine: Any, store: Store) -> None:
    prometheus = services_of("docker", remoteWrite=store.login)["prometheus"]
    content = files(prometheus) | {PASSWORD_FILE: secret(prometheus, PASSWORD_FILE)}
    command = (
        "prometheus",
        "--config.file=/run/secrets/prometheus.json",
        "--storage.tsdb.path=/tmp",
    )
    with started(engine, "prometheus", content, *command, network="bridge"):
        until(lambda: store.received, "samples arrive")
    path, headers, _ = store.received[0]
    assert path == "/"
    assert headers["Content-Type"] == "application/x-protobuf"
