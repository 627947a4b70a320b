"""The observability stack of the reference system: what it sees, and that it tells."""

import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from strata.components.observability.alerts import STARTING_SECONDS
from strata.components.observability.parts import RECORDS
from strata.ops.records import LAST_RESTORE, record_restore
from strata.ops.running_stack import RunningStack
from strata.ops.volumes import Volumes
from strata.platforms.docker.names import ResourceNames
from tests.docker import images, observed
from tests.docker.conftest import Receiver, containers
from tests.docker.faults import (
    crash,
    deadlock,
    expired_certificate,
    full_disk,
    hanging,
    killed,
    manifest,
    old_backup,
    out_of_memory,
    rejected_connection,
)
from tests.docker.observed import check_targets, rows, values
from tests.docker.operations import ops
from tests.project import Project
from tests.wait import until

ALERT_SECONDS = 60
"""Within which an alert reaches its receiver."""
RESOLVED_SECONDS = 150
"""An alert that no longer fires is reported with the next message of its group, once a minute."""

CAUSED = {
    "ContainerDown": "worker",
    "UrlDown": "gateway",
    "ContainerUnhealthy": "inference",
    "RabbitmqQueueWithoutConsumer": "rabbitmq",
    "CertificateExpired": "gateway",
    "DiskFull": "node-exporter",
    "BackupMissing": "",
    "RestoreUnverified": "",
}
"""The service of each alert that the faults cause; empty for one of the whole stack."""
OF_EVENTS = {
    "ContainerRestarted": "redis-exporter",
    "ContainerOutOfMemory": "alertmanager",
    "PostgresDeadlocks": "postgres",
    "RedisRejectsConnections": "redis",
}
"""The same for alerts on what happened once, which stay for minutes."""

LINES_PER_SECOND = 2000
SECONDS = 60
# Numbered lines at a steady rate, in bursts of a tenth of a second.
TALK = f"""
number=0
for ((burst = 0; burst < {SECONDS * 10}; burst++)); do
    for ((line = 0; line < {LINES_PER_SECOND // 10}; line++)); do
        echo "counted line $((number++)) of a container that talks a lot, to fill its log files"
    done
    read -t 0.1 <> <(:) || true
done
"""


@pytest.fixture
def metrics(engine: Any, reference: Project) -> httpx.Client:
    return observed.client(engine, reference)


@pytest.fixture
def logs(engine: Any, reference: Project) -> httpx.Client:
    return observed.client(engine, reference, "victoria-logs")


def names_of(running: dict[str, Any]) -> ResourceNames:
    labels = running["node-exporter"].labels
    owner = labels["strata.owner"]
    return ResourceNames(project="strata", stack="pytest", system="reference", owner=owner)


def test_every_service_is_observed(reference: Project, metrics: httpx.Client) -> None:
    services = {one["name"] for one in reference.outputs()["services"]}
    until(
        lambda: (
            values(metrics, 'min by (service) (container_running{service!=""})').keys() >= services
        ),
        "every container has metrics",
    )
    exported = {name.removesuffix("-exporter") for name in services if name.endswith("-exporter")}
    own = {"api", "worker", "inference", "postgres", "redis", "rabbitmq", "gateway"}
    assert {"postgres", "redis"} <= exported
    check_targets(metrics, *own)
    until(
        lambda: values(metrics, "min by (service) (probe_success)") == {"gateway": 1.0},
        "every published URL answers its probe",
    )


def test_the_stores_ask_for_the_password(metrics: httpx.Client, logs: httpx.Client) -> None:
    for client in (metrics, logs):
        assert httpx.get(f"{client.base_url}/").status_code == 401
    shown = metrics.get("/user/vmui/dashboards.json").json()["dashboardsSettings"]
    assert {"Overview", "api", "Cost"} <= {each["title"] for each in shown}


def test_a_large_query_fails_instead_of_prometheus(metrics: httpx.Client) -> None:
    answer = metrics.get("/api/v1/query", params={"query": "sum_over_time(vector(1)[100d:1s])"})
    assert answer.status_code == 422
    assert "too many samples" in answer.json()["error"]


def test_logs_have_their_service(reference: Project, logs: httpx.Client) -> None:
    assert reference.stack == "pytest"
    query = (
        'attrs.strata.service:* | stats by ("attrs.strata.stack", "attrs.strata.service") count()'
    )

    def talking() -> set[tuple[str, str]]:
        return {
            (row["attrs.strata.stack"], row["attrs.strata.service"]) for row in rows(logs, query)
        }

    until(lambda: ("pytest", "worker") in talking(), "the worker's lines arrive")
    assert {stack for stack, _ in talking()} == {"pytest"}, "lines of other stacks"


def test_a_document_is_found_by_its_id(gateway: httpx.Client, logs: httpx.Client) -> None:
    """And by its trace, which the gateway starts, and which has fields of their own in the lines."""
    name = f"found-{time.time_ns()}"
    posted = gateway.post("/documents", json={"id": name, "text": "Somebody looks for it."})
    assert posted.status_code == 202
    fields = 'unpack_json | fields "attrs.strata.service", trace_id, id, status'

    def lines(text: str) -> list[dict[str, str]]:
        return rows(logs, f'"{text}" | {fields}')

    def services(text: str) -> set[str]:
        return {line["attrs.strata.service"] for line in lines(text)}

    until(lambda: services(name) == {"api", "worker"}, "the lines of both arrive")
    assert {line["id"] for line in lines(name)} == {name}
    (trace_id,) = {line["trace_id"] for line in lines(name)}
    until(lambda: services(trace_id) >= {"gateway", "api", "worker"}, "the trace has all lines")
    (request,) = (line for line in lines(trace_id) if line["attrs.strata.service"] == "gateway")
    assert request["status"] == "202"


def test_the_gateway_counts_and_times_its_requests(
    gateway: httpx.Client, metrics: httpx.Client
) -> None:
    """Those that a service answers, and those that it answers itself."""
    assert gateway.get("/documents/nothing").status_code == 404
    assert gateway.get("/nothing").status_code == 404
    counted = 'sum by (route) (http_requests_total{service="gateway", status="404"})'
    timed = 'sum by (route) (http_request_duration_seconds_bucket{service="gateway", le="+Inf"})'

    def routes(expression: str) -> set[str]:
        return set(values(metrics, expression, "route"))

    until(lambda: routes(counted) >= {"/documents", ""}, "both are counted")
    until(lambda: routes(timed) >= {"/documents", ""}, "both are timed")


def test_a_fault_is_told_and_then_its_end(
    engine: Any,
    reference: Project,
    metrics: httpx.Client,
    gateway: httpx.Client,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    running = containers(engine)
    names = names_of(running)
    age = "min by (service) (time() - container_start_time_seconds)"
    until(
        lambda: values(metrics, age).get("inference", 0) > STARTING_SECONDS,
        "inference doesn't count as starting",
        STARTING_SECONDS,
    )
    images.settle()
    known = len(receiver.received)
    with ExitStack() as faults:
        faults.enter_context(killed(running["worker"]))
        faults.enter_context(hanging(running["inference"]))
        faults.enter_context(expired_certificate(running["gateway"]))
        faults.enter_context(full_disk(running["node-exporter"]))
        old_backup(engine, names, days=40)
        gateway.post("/documents", json={"id": "unheard", "text": "Nobody takes it."})
        faults.enter_context(killed(running["api"]))
        crash(running["redis-exporter"])
        out_of_memory(running["alertmanager"])
        deadlock(running["postgres"])
        rejected_connection(running["redis"])
        deadline = time.monotonic() + ALERT_SECONDS
        for name, service in (CAUSED | OF_EVENTS).items():
            until(
                partial(receiver.has, name, "firing", service, known),
                f"{name} of {service or 'the stack'} is received",
                deadline - time.monotonic(),
            )
    folder = tmp_path / "backup"
    for command in ("backup", "restore"):
        done = ops(reference, command, str(folder))
        assert done.status == 0, done.output
        assert "wasn't recorded" not in done.output
    for name, service in CAUSED.items():
        until(
            partial(receiver.has, name, "resolved", service, known),
            f"{name} is resolved",
            RESOLVED_SECONDS,
        )


def test_a_restore_into_another_stack_counts_for_that_of_the_backup(
    engine: Any, reference: Project
) -> None:
    assert reference.stack == "pytest"
    running = containers(engine)
    names = names_of(running)
    other = replace(names, stack="pytest-drill")
    began = int(time.time())
    record_restore(
        RunningStack(engine, other), Volumes(engine, other), manifest(names, datetime.now(UTC))
    )
    file = f"{RECORDS.path}/{LAST_RESTORE}.prom"
    content = running["node-exporter"].exec_run(["cat", file]).output.decode()
    assert int(content.split()[-1]) >= began


def test_the_dead_mans_switch_arrives(reference: Project, receiver: Receiver) -> None:
    assert reference.stack == "pytest"
    until(lambda: receiver.has("DeadMansSwitch", "firing"), "it arrives")


def test_no_line_is_lost_or_doubled(engine: Any, reference: Project, logs: httpx.Client) -> None:
    """Over rotations of the log file, over a restart of the store, and while the store is away for an
    hour's worth of lines (at 10 lines a second)."""
    assert reference.stack == "pytest"
    running = containers(engine)
    options = running["worker"].attrs["HostConfig"]["LogConfig"]
    talker = engine.containers.run(
        running["worker"].attrs["Image"],
        ["-c", TALK],
        entrypoint="bash",
        name="strata-pytest-talker",
        labels={"strata.stack": "pytest", "strata.service": "talker"},
        log_config=options,
        network_mode="none",
        detach=True,
    )
    try:
        count = '"attrs.strata.service":talker | stats count() lines, count_uniq(_msg) distinct'
        until(lambda: rows(logs, count)[0]["lines"] != "0", "its first lines arrive")
        store = running["victoria-logs"]
        store.restart()

        def stored() -> int:
            try:
                return int(rows(logs, count)[0]["lines"])
            except (httpx.HTTPError, IndexError):
                return 0

        until(stored, "lines arrive again")
        before = stored()
        store.stop()
        talker.wait(timeout=SECONDS * 4)
        assert LINES_PER_SECOND * SECONDS - before > 3600 * 10
        store.start()
        expected = str(LINES_PER_SECOND * SECONDS)

        def arrived() -> bool:
            try:
                (row,) = rows(logs, count)
            except httpx.HTTPError:
                return False
            return row == {"lines": expected, "distinct": expected}

        until(arrived, f"{expected} lines, each once", 120)
    finally:
        talker.remove(force=True)
