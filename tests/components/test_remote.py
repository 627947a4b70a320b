"""Metrics, logs and traces that go to stores outside of the stack, and parts that are disabled."""

from typing import Any

import pytest

from strata.config import Settings
from strata.model import Confidential, InvalidStackError, Service
from systems import reference
from tests.components.stack import compose
from tests.components.standard import described, file, files

PASSWORD = "swordfish"
LOGIN = {"url": "https://store.example.com/in", "username": "me", "password": PASSWORD}
HEADER = {"Authorization": "${file:/run/secrets/authorization}"}


def services(platform: str, **observability: Any) -> dict[str, Service]:
    return described(
        Settings.model_validate(
            {"platform": platform, "profiles": ["traces"], "observability": observability}
        )
    )


def secret(service: Service, path: str) -> str:
    """The content of a file, which is secret."""
    (content,) = (each.content for each in service.files if each.path == path)
    assert isinstance(content, Confidential)
    return content.value


@pytest.mark.parametrize(
    ("platform", "store"), [("docker", ""), ("kubernetes", ""), ("eks", "mimir")]
)
def test_metrics_go_outside(platform: str, store: str) -> None:
    found = services(platform, remoteWrite=LOGIN)
    assert store not in found
    prometheus = found["prometheus"]
    assert prometheus.egress
    assert file(prometheus, "prometheus.json")["remote_write"] == [
        {
            "url": LOGIN["url"],
            "basic_auth": {"username": "me", "password_file": "/run/secrets/remote-password"},
        }
    ]
    assert secret(prometheus, "/run/secrets/remote-password") == PASSWORD


def test_logs_go_outside() -> None:
    found = services("kubernetes", loki=LOGIN)
    assert "loki" not in found
    agent = found["log-agent"]
    assert agent.egress
    assert agent.links == ()
    exporter = file(agent, "log-agent.json")["exporters"]["otlp_http"]
    assert exporter["endpoint"] == "https://store.example.com/in/otlp"
    assert exporter["headers"] == HEADER
    assert secret(agent, "/run/secrets/authorization") == "Basic bWU6c3dvcmRmaXNo"
    assert "Logs" not in sources(found["grafana"])
    pages = [text for path, text in files(found["grafana"]).items() if "/dashboards/" in path]
    assert pages
    assert not [text for text in pages if '"loki"' in text]


@pytest.mark.parametrize(
    ("platform", "collector", "exporter", "store"),
    [
        ("docker", "jaeger", "otlphttp", ""),
        ("kubernetes", "trace-collector", "otlp_http", "tempo"),
    ],
)
def test_traces_go_outside(platform: str, collector: str, exporter: str, store: str) -> None:
    found = services(platform, otlp=LOGIN)
    assert store not in found
    sends = found[collector]
    assert sends.egress
    assert sends.volumes == ()
    assert all(port.published is None for port in sends.ports)
    configuration = file(sends, f"{collector}.json")
    assert configuration["exporters"][exporter] == {"endpoint": LOGIN["url"], "headers": HEADER}
    assert configuration["service"]["pipelines"]["traces/kept"]["exporters"] == [exporter]
    assert secret(sends, "/run/secrets/authorization") == "Basic bWU6c3dvcmRmaXNo"


def test_an_endpoint_needs_no_login() -> None:
    found = services("kubernetes", otlp={"url": "http://collector.example.com:4318"})
    collector = found["trace-collector"]
    assert [each.path for each in collector.files] == ["/run/secrets/trace-collector.json"]
    exporters = file(collector, "trace-collector.json")["exporters"]
    assert exporters["otlp_http"] == {"endpoint": "http://collector.example.com:4318"}


@pytest.mark.parametrize(
    ("platform", "parts"),
    [
        ("docker", {"logs": {"victoria-logs", "log-agent"}, "dashboards": set()}),
        ("kubernetes", {"logs": {"loki", "log-agent"}, "dashboards": {"grafana"}}),
    ],
)
def test_a_part_is_disabled(platform: str, parts: dict[str, set[str]]) -> None:
    everything = set(services(platform))
    for part, names in parts.items():
        assert everything - set(services(platform, **{part: False})) == names
    without = services(platform, logs=False, dashboards=False)
    assert [each.published for each in without["prometheus"].ports] in ([], [None])
    assert set.union(*parts.values()) == everything - set(without)
    (configuration,) = (
        text for path, text in files(without["gateway"]).items() if path.endswith("nginx.conf")
    )
    assert "grafana" not in configuration


def sources(grafana: Service) -> set[str]:
    return {each["name"] for each in file(grafana, "datasources/strata.yaml")["datasources"]}


def test_what_has_no_effect_is_rejected() -> None:
    settings = Settings.model_validate({"observability": {"loki": LOGIN, "otlp": LOGIN}})
    with pytest.raises(InvalidStackError) as raised:
        compose(reference.compose, settings=settings)
    paths = {problem.path for problem in raised.value.problems}
    assert paths == {"strata:observability.loki", "strata:observability.otlp"}
