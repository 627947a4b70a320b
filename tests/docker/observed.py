"""What the observability stack of a test's stack knows: metrics, alerts and logs."""

import json
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from typing import Any

import httpx

from tests.docker.conftest import containers
from tests.docker.faults import killed
from tests.project import Project
from tests.wait import until

USER = "strata"
FIRING_SECONDS = 90
"""Within which any alert of an engine that is stopped fires: some wait for 30 s."""
CLEARED_SECONDS = 120
"""Within which it no longer fires. The service starts again meanwhile."""
TARGETS = 'min by (service) (up{job!="probes"})'


def client(engine: Any, project: Project, store: str = "prometheus") -> httpx.Client:
    """A client of a store of the stack, with the password that all have."""
    prometheus = containers(engine, project.stack)["prometheus"]
    password = prometheus.exec_run(["cat", "/run/secrets/password"]).output.decode()
    url = project.outputs()["urls"][store]
    return httpx.Client(base_url=url, auth=(USER, password), timeout=30)


def values(metrics: httpx.Client, expression: str, label: str = "service") -> dict[str, float]:
    """The newest value of each series, by a label; empty where a series lacks it."""
    answer = metrics.get("/api/v1/query", params={"query": expression}).raise_for_status().json()
    return {
        one["metric"].get(label, ""): float(one["value"][1]) for one in answer["data"]["result"]
    }


def rows(logs: httpx.Client, query: str) -> list[dict[str, str]]:
    """The lines that a query in LogsQL selects."""
    answer = logs.get("/select/logsql/query", params={"query": query}).raise_for_status().text
    return [json.loads(line) for line in answer.splitlines()]


def check_targets(metrics: httpx.Client, *services: str) -> None:
    """Fails unless the metrics of these services, and all others, can be read."""

    def all_up() -> bool:
        up = values(metrics, TARGETS)
        return up.keys() >= set(services) and set(up.values()) == {1.0}

    until(all_up, f"the metrics of {', '.join(services)} are read")


def check_alerts(
    metrics: httpx.Client, containers: Iterable[Any], caused: Collection[tuple[str, str]]
) -> None:
    """Fails unless these alerts (name, service) fire while the containers are down, and only then."""

    def firing() -> set[tuple[str, str]]:
        return {
            (alert, service)
            for alert, _ in caused
            for service in values(metrics, f'ALERTS{{alertname="{alert}", alertstate="firing"}}')
        }.intersection(caused)

    until(lambda: firing() == set(), f"{caused} don't fire yet")
    with ExitStack() as fault:
        for container in containers:
            fault.enter_context(killed(container))
        until(lambda: firing() == set(caused), f"{caused} fire", FIRING_SECONDS)
    until(lambda: firing() == set(), f"{caused} are cleared", CLEARED_SECONDS)
