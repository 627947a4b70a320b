"""Prometheus beside the stack of a test: what it scrapes of an engine, and which of its alerts fire."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx

from strata.components.observability.configuration import rules
from strata.images.choose import choose
from strata.images.source import resolve
from strata.model import Monitoring
from tests.docker import images
from tests.docker.conftest import put_files
from tests.docker.network import addresses
from tests.wait import until


class Prometheus:
    """A client of its HTTP API."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def values(self, expression: str) -> list[float]:
        """The newest values of an expression."""
        answer = self._client.get("/api/v1/query", params={"query": expression})
        results = answer.raise_for_status().json()["data"]["result"]
        return [float(result["value"][1]) for result in results]

    def is_firing(self, alert: str) -> bool:
        return self.values(f'ALERTS{{alertname="{alert}", alertstate="firing"}}') != []


@contextmanager
def prometheus(
    engine: Any, neighbour: Any, service: str, target: str, monitoring: Monitoring
) -> Iterator[Prometheus]:
    """Prometheus in the network of a container. It scrapes `target` (host:port) as the metrics of `service`,
    and evaluates the alerts of the service. They fire at once: tests/docker/test_alerts.py has the times.
    """
    images.ensure(engine, "prometheus")
    job = {
        "job_name": service,
        "static_configs": [{"targets": [target], "labels": {"service": service}}],
    }
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["/rules.json"],
        "scrape_configs": [job],
    }
    container = engine.containers.create(
        resolve("prometheus", choose()[0]),
        ["prometheus", "--config.file=/prometheus.json", "--storage.tsdb.path=/tmp/data"],
        entrypoint=[],
        network_mode=f"container:{neighbour.id}",
    )
    try:
        at_once = ((service, replace(alert, for_seconds=0)) for alert in monitoring.alerts)
        files = {"/prometheus.json": json.dumps(configuration), "/rules.json": rules(at_once)}
        put_files(container, files)
        container.start()
        observed = Prometheus(f"http://{min(addresses(neighbour))}:9090")
        until(observed.is_ready, "Prometheus is ready")
        until(lambda: observed.values("up") == [1], "the metrics are scraped")
        yield observed
    finally:
        container.remove(force=True, v=True)
