"""Every alert has its cases, its section of the runbooks and a time to fire that fits its severity."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from strata.components import engines, ray_cluster
from strata.components.engines.engine import Engine, EngineOptions
from strata.components.gateways import nginx, traefik
from strata.components.observability.alerts import (
    OF_A_CLUSTER,
    OF_BACKUPS,
    OF_THE_HOST,
    OF_THE_STACK,
)
from strata.components.observability.gpu import GPU
from strata.components.observability.parts import PASSWORD
from strata.components.observability.tracing import trace_store
from strata.config.settings import BackupSettings
from strata.model import Alert, Service, Severity
from systems import reference
from tests.docker import cluster_cases
from tests.docker.alert_cases import CASES

RUNBOOKS = Path(__file__).resolve().parent.parent.parent / "docs" / "runbooks.md"
# Outages that reach a receiver within 60 s: 10 s to be read, 10 s to be evaluated, 5 s to be sent.
FAST = {
    "ContainerDown",
    "ContainerRestarted",
    "ContainerUnhealthy",
    "BackupMissing",
    "UrlDown",
    "RabbitmqQueueWithoutConsumer",
    "CertificateExpired",
    "DiskFull",
    "GpuLost",
}


def alerts() -> Iterator[Alert]:
    """Those of the stack, the gateways, Ray, every engine, the reference system, traces and GPUs."""
    yield from (*OF_THE_STACK, *OF_THE_HOST, *OF_BACKUPS, *OF_A_CLUSTER)
    yield from (*nginx.MONITORING.alerts, *ray_cluster.MONITORING.alerts, *GPU.alerts)
    yield traefik.certificate_missing("app.example.com")
    traces = trace_store(PASSWORD, 16686, None).monitoring
    for monitoring in (reference.API, reference.WORKER, reference.INFERENCE, traces):
        assert monitoring is not None
        yield from monitoring.alerts
    for module in pkgutil.iter_modules(engines.__path__, f"{engines.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Engine):
                for each in value.workloads(value.name, _options(value)):
                    if isinstance(each, Service) and each.monitoring is not None:
                        yield from each.monitoring.alerts


def _options(engine: Engine) -> EngineOptions:
    return EngineOptions(
        resources=engine.resources,
        volume_size_gib=1,
        storage_class=None,
        mutual_tls=False,
        profiles=(),
        backup=BackupSettings(),
    )


ALERTS = {alert.name: alert for alert in alerts()}


def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_is_quiet() -> None:
    cases = (*CASES, *cluster_cases.CASES)
    assert {case.alert for case in cases} == set(ALERTS)
    assert [case.alert for case in cases if not case.quiet] == ["DeadMansSwitch"]
    # On Docker there is no cluster, and nothing else is left out.
    of_a_cluster = {alert.name for alert in OF_A_CLUSTER}
    assert {case.alert for case in CASES} == set(ALERTS) - of_a_cluster


def test_every_alert_has_its_section_of_the_runbooks() -> None:
    sections = re.findall(r"^## (\w+)\n\n\*(\w+)\.\*", RUNBOOKS.read_text(), re.MULTILINE)
    assert dict(sections) == {name: str(alert.severity) for name, alert in ALERTS.items()}
    assert len(sections) == len(ALERTS)
    assert len(re.findall(r"^## ", RUNBOOKS.read_text(), re.MULTILINE)) == len(ALERTS)


def test_a_runbook_names_no_other_setting_than_there_is() -> None:
    known = (RUNBOOKS.parent / "settings.md").read_text()
    for key in re.findall(r"strata:[a-zA-Z.]+", RUNBOOKS.read_text()):
        generic = re.sub(r"(services|secretGenerations)\.\w+", r"\1.NAME", key)
        assert f"`{generic}`" in known or f"`{generic}." in known, key


@pytest.mark.parametrize("name", sorted(FAST))
def test_an_outage_fires_within_a_minute(name: str) -> None:
    assert ALERTS[name].for_seconds <= 15


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_an_alert_has_one_result_for_each_cause(alert: Alert) -> None:
    """A critical alert silences the warnings of its service, so it has to name one."""
    aggregated = re.findall(r"by \(([^)]*)\)", alert.expression)
    if alert.name == "DeadMansSwitch" or alert in OF_BACKUPS:
        assert alert.severity is Severity.WARNING, "of the whole stack"
        return
    assert aggregated, "aggregate it"
    assert all("service" in labels for labels in aggregated)


def test_a_critical_alert_means_that_users_are_affected() -> None:
    assert {name for name in FAST if ALERTS[name].severity is not Severity.CRITICAL} == {
        "BackupMissing",
        "ContainerRestarted",
    }
