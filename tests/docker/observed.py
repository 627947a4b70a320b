"""What the stores of a running stack have: metrics and logs."""

import json
from typing import Any

import httpx

from tests.docker.conftest import containers
from tests.project import Project

USER = "strata"


def store_client(engine: Any, project: Project, service: str) -> httpx.Client:
    """A client of a store at its published URL, with the password of all stores."""
    one = containers(engine, project.stack)["log-agent"]
    password = one.exec_run(["cat", "/run/secrets/password"]).output.decode()
    url = project.outputs()["urls"][service]
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
