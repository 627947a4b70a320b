"""jimbot on real Docker, without the stores whose images can only be pulled: a play is simulated on Ray,
and outlives the process of the store that keeps it."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.jimbot import hands, simulation
from tests.docker import images, observed
from tests.docker.conftest import containers, free_port, running
from tests.docker.network import reached
from tests.project import Project
from tests.wait import until

STACK = "pytest-jimbot"
LEFT_OUT = ("eventstore", "memgraph")
SAMPLES = 400
# The rows of a player, with the application's own account.
ROWS = """
import asyncio, json, sys
from apps.common import settings
from apps.jimbot.measurements import Measurements
from apps.jimbot.settings import QuestdbSettings
print(json.dumps(asyncio.run(Measurements(settings.load(QuestdbSettings)).newest(sys.argv[1], 10))))
"""


@pytest.fixture(scope="module")
def jimbot(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system for development, up and healthy, of a size for this machine."""
    images.ensure(engine, "jimbot")
    node = {"memoryMib": 1024, "cpu": 1, "cpuReserved": 0.25, "sharedMemoryMib": 128}
    project = Project(
        tmp_path_factory.mktemp("jimbot") / "project",
        STACK,
        {
            "system": "jimbot",
            "profiles": ["development"],
            "ports": {port: free_port() for port in ("http", "https", "dashboards", "logs")},
            "services": {
                **{name: {"enabled": False} for name in (*LEFT_OUT, "ray-worker-gpu-1")},
                "ray-head": {**node, "memoryMib": 1536},
                "ray-worker-gpu-0": node,
                "questdb": {"memoryMib": 768, "cpu": 1, "cpuReserved": 0.25},
            },
        },
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def gateway(jimbot: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=jimbot.outputs()["urls"]["gateway"], timeout=120) as client:
        yield client


def call(gateway: httpx.Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers to an MCP client."""
    answer = gateway.post(
        "/mcp",
        json={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        },
        headers={"accept": "application/json, text/event-stream"},
    )
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def play(gateway: httpx.Client, player: str, *cards: str) -> dict[str, Any]:
    result = call(gateway, "best_play", player=player, cards=cards, samples=SAMPLES)
    assert not result.get("isError"), result
    found: dict[str, Any] = result["structuredContent"]
    return found


def history(gateway: httpx.Client, player: str) -> dict[str, Any]:
    found: dict[str, Any] = call(gateway, "history", player=player)["structuredContent"]
    return found


def test_a_play_is_simulated_on_ray_and_kept(engine: Any, gateway: httpx.Client) -> None:
    best = play(gateway, "ada", "AS", "AD", "3C", "7H", "9D")
    assert (best["name"], best["cards"], best["score"]) == ("pair", ["AS", "AD"], 64)
    each = SAMPLES // simulation.TASKS
    beaten = sum(hands.count_beaten(64, 5, each, seed) for seed in range(simulation.TASKS))
    assert best["beats"] == beaten / SAMPLES
    assert best["stored_in"] == ["questdb"]

    row = {"id": best["id"], "cards": "AS AD", "name": "pair", "score": 64, "beats": best["beats"]}

    def stored() -> bool:
        arguments = ["python3", "-c", ROWS, "ada"]
        status, (output, errors) = containers(engine, STACK)["app"].exec_run(arguments, demux=True)
        assert status == 0, errors
        return bool(json.loads(output) == [row])

    until(stored, "the row is visible")
    found = history(gateway, "ada")
    assert found["measurements"] == [row]
    assert found["left_out"] == list(LEFT_OUT)


def test_stores_that_are_left_out_are_reported_and_not_needed(
    engine: Any, gateway: httpx.Client
) -> None:
    health = gateway.get("/health")
    assert health.status_code == 200
    states = {"ray": "ok", "questdb": "ok", "eventstore": "left out", "memgraph": "left out"}
    assert health.json()["dependencies"] == states
    services = containers(engine, STACK)
    assert set(services) >= {"app", "gateway", "questdb", "ray-head", "ray-worker-gpu-0"}
    assert not set(services) & {*LEFT_OUT, "ray-worker-gpu-1"}
    environment = services["app"].attrs["Config"]["Env"]
    assert not [one for one in environment if one.startswith(("MEMGRAPH_", "EVENTSTORE_"))]


def test_a_play_outlives_the_process_of_its_store(engine: Any, gateway: httpx.Client) -> None:
    best = play(gateway, "grace", "KC", "KD", "KH")
    (process,) = [
        line
        for line in containers(engine, STACK)["questdb"].top()["Processes"]
        if "ServerMain" in line[-1]
    ]
    os.kill(int(process[1]), signal.SIGKILL)

    def kept() -> bool:
        result = call(gateway, "history", player="grace")
        rows = result.get("structuredContent", {}).get("measurements", [])
        return [row["id"] for row in rows] == [best["id"]]

    until(kept, "QuestDB is back with the row", 120)


def test_the_tools_fail_without_ray(engine: Any, gateway: httpx.Client) -> None:
    until(lambda: gateway.get("/health").status_code == 200, "every store answers", 120)
    head = containers(engine, STACK)["ray-head"]
    head.pause()
    try:
        health = gateway.get("/health")
        result = call(gateway, "best_play", player="ada", cards=["2C"], samples=SAMPLES)
    finally:
        head.unpause()
    assert health.status_code == 503
    assert health.json()["dependencies"]["ray"] != "ok"
    assert health.json()["dependencies"]["questdb"] == "ok"
    assert result["isError"]
    assert "ray is unavailable" in result["content"][0]["text"]


def test_every_pair_of_services(engine: Any, jimbot: Project) -> None:
    links = jimbot.outputs()["links"]
    found = reached(containers(engine, STACK))
    assert {(client, server) for client, server, _ in found} == {
        (link["client"], link["server"])
        for link in links
        # Replicas of a worker, of which there is one.
        if link["client"] != link["server"]
    }
    # Servers that listen on the addresses of their networks only. Ray and QuestDB listen on all.
    bound = ("app", "gateway")
    assert {one for one in found if one[1] in bound} == {
        (link["client"], link["server"], int(link["port"]))
        for link in links
        if link["server"] in bound
    }


def test_its_engines_are_observed(engine: Any, jimbot: Project) -> None:
    services = containers(engine, STACK)
    metrics = observed.client(engine, jimbot)
    observed.check_targets(metrics, "questdb", "ray-head", "ray-worker-gpu-0", "gateway", "app")
    alerts = {("ContainerDown", "questdb"), ("ContainerDown", "ray-worker-gpu-0")}
    observed.check_alerts(metrics, [services[name] for _, name in alerts], alerts)
