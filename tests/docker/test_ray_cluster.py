"""A Ray cluster on real Docker: jobs over HTTP with the token, and nodes that come back by themselves."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from strata.components.ray_cluster import METRICS_PORT, MONITORING, NODE_PORTS
from tests.docker.conftest import containers, health, running
from tests.docker.faults import hanging
from tests.docker.network import reached
from tests.docker.prometheus import prometheus
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-ray"
SLOW = 180
"""Seconds in which a node starts on a slow machine. A worker can take a minute to notice that the head lost its
state."""

# With the variables and the file that the connection sets.
REQUEST = """
import json, os, sys, urllib.error, urllib.request
token, path, body = sys.argv[1:]
token = token or open(os.environ["RAY_PASSWORD_FILE"]).read()
url = f"http://{os.environ['RAY_HOST']}:{os.environ['RAY_PORT']}{path}"
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
request = urllib.request.Request(url, body.encode() or None, headers)
try:
    print(urllib.request.urlopen(request, timeout=20).read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""

# Each node makes an object from one of the driver's, and the driver gets them from all of them.
ON_EVERY_NODE = """
import json, socket, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

ray.init(log_to_driver=False)
sent = ray.put(bytes(8_000_000))

@ray.remote
def task(received):
    return socket.gethostname(), ray.put(received + b"more")

lengths = {}
for node in ray.nodes():
    if node["Alive"]:
        on = task.options(scheduling_strategy=On(node["NodeID"], soft=False))
        host, made = ray.get(on.remote(sent))
        lengths[host] = len(ray.get(made))
print("result:", json.dumps(lengths))
"""


# A task on the head, whose process the kernel kills.
CRASH = """
import os, signal, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

ray.init(log_to_driver=False)

@ray.remote(max_retries=0, scheduling_strategy=On(ray.get_runtime_context().get_node_id(), soft=False))
def crash():
    os.kill(os.getpid(), signal.SIGKILL)

try:
    ray.get(crash.remote())
except ray.exceptions.WorkerCrashedError:
    print("result: crashed")
"""


@pytest.fixture(scope="module")
def cluster(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(
        tmp_path_factory.mktemp("ray") / "project",
        STACK,
        {"system": "ray_cluster"},
        systems=TEST_SYSTEMS,
    )
    with running(engine, project):
        yield project


@pytest.fixture
def services(engine: Any, cluster: Project) -> dict[str, Any]:
    return containers(engine, cluster.stack)


def send(client: Any, path: str, body: Any = None, token: str = "") -> Any:
    """What the head responds: a value, the status of an error, or None if it isn't JSON."""
    arguments = [token, path, json.dumps(body) if body else ""]
    status, output = client.exec_run(["python3", "-c", REQUEST, *arguments])
    assert status == 0, output.decode()
    try:
        return json.loads(output)
    except json.JSONDecodeError:
        return None


def submit(client: Any, program: str) -> str:
    """The result of a job, once it has ended: what it prints."""
    job = send(client, "/api/jobs/", {"entrypoint": f"python3 -c '{program}'"})
    path = f"/api/jobs/{job['submission_id']}"
    ended = ("SUCCEEDED", "FAILED", "STOPPED")
    status = until(lambda: (found := send(client, path)["status"]) in ended and found, "it ends")

    def written() -> str:
        # An agent of the head's reads them, and may have started later than the head.
        found = send(client, f"{path}/logs")
        return str(found["logs"]) if isinstance(found, dict) else ""

    logs = until(written, "the logs of the job can be read")
    assert status == "SUCCEEDED", logs
    return logs


def on_every_node(client: Any) -> dict[str, int]:
    lengths: dict[str, int] = json.loads(submit(client, ON_EVERY_NODE).split("result: ")[1])
    return lengths


def alive(client: Any) -> set[str]:
    """The ids of the nodes that the head knows as alive. A node that starts again has a new one."""
    answer = send(
        client, "/api/v0/nodes?filter_keys=state&filter_predicates=%3D&filter_values=ALIVE"
    )
    # A head that starts answers with an error, or with none.
    return (
        {node["node_id"] for node in answer["data"]["result"]["result"]}
        if isinstance(answer, dict)
        else set()
    )


BOTH = {"ray-head-1": 8_000_004, "ray-worker-1": 8_000_004}
"""What `on_every_node` returns if both nodes run tasks, and exchange objects."""


def kill(node: Any, process: str) -> None:
    """Kills a process of a node, and waits until the node is healthy again."""
    restarts = node.attrs["RestartCount"]
    (found,) = [line for line in node.top()["Processes"] if line[-1].split()[0].endswith(process)]
    os.kill(int(found[1]), signal.SIGKILL)

    def recovered() -> bool:
        node.reload()
        again: bool = node.attrs["RestartCount"] > restarts
        return again and health(node) == "healthy"

    until(recovered, "it is healthy again", seconds=SLOW)


def test_a_job_needs_the_token(services: dict[str, Any]) -> None:
    job = {"entrypoint": "true"}
    assert send(services["client"], "/api/jobs/", job, token="wrong") == 403
    assert send(services["client"], "/api/jobs/") == []


def test_a_job_runs_tasks_and_gets_objects_on_every_node(services: dict[str, Any]) -> None:
    assert on_every_node(services["client"]) == BOTH


def test_nodes_reach_each_other_and_nothing_else(services: dict[str, Any]) -> None:
    head, worker = ("ray-head", "ray-worker")
    between = {
        (client, server)
        for client, server, port in reached(services)
        if port in NODE_PORTS and client != "client"
    }
    assert between == {(head, worker), (worker, head)}
    # The head listens on every address, and so on the network of its clients: see docs/components.
    assert "client" not in {server for _, server, _ in reached(services)}


def test_metrics_of_nodes(services: dict[str, Any]) -> None:
    """Those that the alerts and panels use."""
    script = f"exec 3<>/dev/tcp/ray-head/{METRICS_PORT}; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"

    def names() -> set[str]:
        output = services["client"].exec_run(["bash", "-c", script]).output.decode()
        return {line.partition("{")[0] for line in output.splitlines() if line[:4] == "ray_"}

    used = {
        "ray_internal_num_infeasible_scheduling_classes",
        "ray_object_store_used_memory",
        "ray_object_store_available_memory",
        "ray_object_store_memory",
        "ray_tasks",
        "ray_resources",
        "ray_component_uss_bytes",
    }
    until(lambda: used <= names(), "all metrics are there")


def test_a_process_that_crashed_is_reported(engine: Any, services: dict[str, Any]) -> None:
    client = services["client"]
    target = f"ray-head:{METRICS_PORT}"
    with prometheus(engine, client, "ray-head", target, MONITORING) as observed:
        assert "result: crashed" in submit(client, CRASH)
        until(lambda: observed.is_firing("RayProcessesDied"), "the alert fires")


def test_a_worker_joins_again_after_its_raylet_was_killed(services: dict[str, Any]) -> None:
    client = services["client"]
    before = alive(client)
    kill(services["ray-worker"], "/raylet")
    until(lambda: len(now := alive(client)) == 2 and now != before, "it is a new node", SLOW)
    assert on_every_node(client) == BOTH


def test_the_cluster_forms_again_after_the_head_was_killed(services: dict[str, Any]) -> None:
    client = services["client"]
    kill(services["ray-head"], "/gcs_server")
    # It kept the list of jobs in memory.
    assert send(client, "/api/jobs/") == []
    until(lambda: len(alive(client)) == 2, "the worker joins", SLOW)
    assert on_every_node(client) == BOTH


def test_nodes_are_unhealthy_while_they_hang(services: dict[str, Any]) -> None:
    head, worker = services["ray-head"], services["ray-worker"]
    with hanging(head), hanging(worker):
        until(lambda: health(head) == health(worker) == "unhealthy", "health checks fail")
    until(lambda: health(head) == health(worker) == "healthy", "health checks pass again", SLOW)
