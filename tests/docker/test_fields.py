"""Each field of a service is seen at work, from inside the container or from Docker."""

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.docker import api_keys
from tests.docker.conftest import bridge_address, containers, free_port, remove
from tests.docker.network import connections
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-fields"
BACKEND = IPv4Network("172.29.254.0/24")
LABEL = {"label": f"strata.stack={STACK}"}


@pytest.fixture(scope="module")
def fields(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The system of tests/systems/fields.py, up; `settings` of the stack change two services."""
    remove(engine, STACK)
    project = Project(
        tmp_path_factory.mktemp("fields") / "project",
        STACK,
        {
            "system": "fields",
            "ports": {"http": free_port(), "https": free_port()},
            "network": {"zones": {"backend": str(BACKEND)}},
            "gateway": {"clients": api_keys.SETTINGS, "address": bridge_address(engine)},
            "services": {
                "several": {"replicas": 2, "memoryMib": 80},
                "special": {"cpuSet": "0"},
            },
        },
        systems=TEST_SYSTEMS,
    )
    up = project.up()
    if up.status != 0:
        project.destroy()
        remove(engine, STACK)
    assert up.status == 0, up.output
    yield project
    destroyed = project.destroy()
    remove(engine, STACK)
    assert destroyed.status == 0, destroyed.output


@pytest.fixture(scope="module")
def services(engine: Any, fields: Project) -> dict[str, Any]:
    """The first replica of each service, as it was after the first update."""
    assert fields.stack == STACK
    return containers(engine, STACK)


@pytest.fixture(scope="module")
def gateway(fields: Project) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fields.outputs()["urls"]["gateway"], timeout=30) as client:
        yield client


def inside(container: Any, script: str) -> tuple[int, str]:
    """The status of a bash script that is run in the container, and what it prints."""
    status, output = container.exec_run(["bash", "-c", script])
    return status, output.decode(errors="replace").strip()


def moment(text: str) -> float:
    """Seconds, of a time as Docker writes it (it has nanoseconds, which Python has not)."""
    return datetime.fromisoformat(f"{text[:26].rstrip('Z')}+00:00").timestamp()


def test_a_zone_with_a_range_has_the_networks_of_its_services(
    engine: Any, services: dict[str, Any]
) -> None:
    """`several`, which answers, is in the zone; the gateway isn't."""
    subnets = {
        one.name: IPv4Network(one.attrs["IPAM"]["Config"][0]["Subnet"])
        for one in engine.networks.list(filters=LABEL)
    }
    within = {name for name, subnet in subnets.items() if subnet.subnet_of(BACKEND)}
    assert f"strata-{STACK}-several-8000" in within
    assert subnets.keys() - within == {
        f"strata-{STACK}-{name}" for name in ("gateway-outward", "orders-8000", "orders-outward")
    }
    client = services["client"]
    assert inside(client, "exec 3<>/dev/tcp/several/8000") == (0, "")


def test_again_changes_nothing(fields: Project) -> None:
    again = fields.up()
    assert again.status == 0, again.output
    for word in ("created", "updated", "replaced", "deleted"):
        assert word not in again.output, again.output


def test_a_client_starts_after_its_servers_are_healthy(services: dict[str, Any]) -> None:
    slow_started = moment(services["slow"].attrs["State"]["StartedAt"])
    client_created = moment(services["client"].attrs["Created"])
    assert client_created - slow_started >= 3, "the server takes 3 s until it listens"


def test_replicas_share_a_name_and_all_answer_to_it(services: dict[str, Any]) -> None:
    status, output = inside(services["client"], "getent ahostsv4 several | cut -d' ' -f1 | sort -u")
    assert (status, len(output.split())) == (0, 2)
    ask = (
        "for address in $(getent ahostsv4 several | cut -d' ' -f1 | sort -u); do"
        " exec 3<>/dev/tcp/$address/8000; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3;"
        " done"
    )
    status, output = inside(services["client"], ask)
    assert (status, sorted(output.split())) == (0, ["several-1", "several-2"])


def test_settings_change_a_service(engine: Any, fields: Project) -> None:
    replicas = engine.containers.list(
        filters={"label": [f"strata.stack={STACK}", "strata.service=several"]}
    )
    assert len(replicas) == 2
    assert {one.attrs["HostConfig"]["Memory"] for one in replicas} == {80 * 1024 * 1024}
    listed = {one["name"]: one for one in fields.outputs()["services"]}
    assert (listed["several"]["replicas"], listed["several"]["memoryMib"]) == (2, 80)


def test_a_service_is_pinned_to_its_cores(services: dict[str, Any]) -> None:
    _, output = inside(services["special"], "grep Cpus_allowed_list /proc/1/status")
    assert output.split() == ["Cpus_allowed_list:", "0"]


def test_shared_memory_has_its_size(services: dict[str, Any]) -> None:
    _, output = inside(services["special"], "df --output=size --block-size=1M /dev/shm | tail -1")
    assert output == "16"


def test_a_tmpfs_is_bounded_and_runs_programs_only_if_asked(services: dict[str, Any]) -> None:
    special = services["special"]
    make = "printf '#!/bin/bash\\necho ran\\n' > {0}/x && chmod +x {0}/x && {0}/x"
    assert inside(special, make.format("/programs")) == (0, "ran")
    status, output = inside(special, make.format("/tmp"))
    assert (status, "Permission denied" in output) == (126, True)
    status, output = inside(special, "head -c 3M /dev/zero > /tmp/large")
    assert (status, "No space left" in output) == (1, True)


def test_a_volume_belongs_to_the_user_of_the_service(services: dict[str, Any]) -> None:
    assert (
        inside(services["lingering"], "touch /data/x && stat --format %u:%g /data")[1]
        == "10001:10001"
    )
    assert inside(services["lingering"], "rm /data/x")[0] == 0


def test_ulimits_hold(services: dict[str, Any]) -> None:
    _, output = inside(services["special"], "grep -E '(open files|processes)' /proc/1/limits")
    found = {tuple(line.rsplit(maxsplit=3)[1:3]) for line in output.splitlines()}
    assert found == {("1000", "2000"), ("3000", "3000")}


def test_a_log_is_rotated(services: dict[str, Any]) -> None:
    special = services["special"]
    # A line of Docker's file has about 70 bytes more than what it carries.
    status, output = inside(
        special, "for i in {1..40}; do printf '%080000d\\n' 0; done >/proc/1/fd/1"
    )
    assert status == 0, output

    def kept() -> int:
        return len(special.logs())

    until(lambda: kept() > 500_000, "the log has arrived")
    assert kept() < 2.1 * 1024 * 1024, "3 MiB were written, and twice 1 MiB may be kept"


def test_extra_hosts_lead_where_they_say(services: dict[str, Any]) -> None:
    client = services["client"]
    assert inside(client, "getent ahostsv4 elsewhere | head -1 | cut -d' ' -f1")[1] == "192.0.2.7"
    address = inside(client, "getent ahostsv4 the-host | head -1 | cut -d' ' -f1")[1]
    with socket.create_server((address, 0)) as here:
        assert connections(client, (address, here.getsockname()[1])) == [True]


def test_egress_is_a_way_out_and_is_not_given_unasked(
    services: dict[str, Any], outside: tuple[str, int]
) -> None:
    reaches = {name: connections(one, outside) == [True] for name, one in services.items()}
    assert {name for name, does in reaches.items() if does} == {"client", "gateway", "orders"}


@pytest.fixture
def orders(engine: Any, services: dict[str, Any]) -> Iterator[Any]:
    """The external server `orders.example.test`: a container that isn't of the stack, whose name only the
    relay can look up. The stack came up without it: that a server is away is no fault of its relay."""
    container = engine.containers.create(
        services["several"].image,
        environment={"LISTEN_ADDRESSES": "0.0.0.0", "LISTEN_PORT": "8000", "ANSWER": "an order"},
    )
    network = engine.networks.get(f"strata-{STACK}-orders-outward")
    try:
        network.connect(container, aliases=["orders.example.test"])
        container.start()
        until(lambda: inside(container, "exec 3<>/dev/tcp/127.0.0.1/8000")[0] == 0, "it listens")
        container.reload()
        yield container
    finally:
        container.remove(force=True)


ORDER = """\
exec 3<>/dev/tcp/orders.example.test/8000
printf 'GET / HTTP/1.0\\r\\nHost: orders.example.test\\r\\n\\r\\n' >&3
cat <&3 | tail -1
"""


def test_an_external_server_is_reached_by_its_name_and_only_through_the_relay(
    services: dict[str, Any], orders: Any
) -> None:
    several, relay = services["several"], services["orders"]
    assert inside(several, "echo $ORDERS_URL")[1] == "http://orders.example.test:8000"
    assert inside(several, ORDER) == (0, "an order")
    address = orders.attrs["NetworkSettings"]["Networks"][f"strata-{STACK}-orders-outward"]
    direct = (address["IPAddress"], 8000)
    assert connections(relay, direct) == [True]
    assert connections(several, direct) == [False]
    # Another service has neither the name nor a way to the relay.
    assert inside(services["special"], ORDER)[1] != "an order"


@pytest.mark.parametrize(
    ("service", "policy"),
    [
        ("special", {"Name": "unless-stopped", "MaximumRetryCount": 0}),
        ("several", {"Name": "on-failure", "MaximumRetryCount": 5}),
        ("away", {"Name": "always", "MaximumRetryCount": 0}),
    ],
)
def test_a_process_that_dies_is_started_again(
    services: dict[str, Any], service: str, policy: dict[str, Any]
) -> None:
    container = services[service]
    container.reload()
    assert container.attrs["HostConfig"]["RestartPolicy"] == policy
    before = container.attrs["State"]
    os.kill(before["Pid"], signal.SIGKILL)

    def is_back() -> bool:
        container.reload()
        state = container.attrs["State"]
        return bool(state["StartedAt"] != before["StartedAt"] and state["Running"])

    until(is_back, f"{service} runs again")


def test_a_gateway_leads_to_its_routes_and_to_nothing_else(gateway: httpx.Client) -> None:
    for path in ("/", "/tree/", "/tree/a/b?c=d", "/rare", "/small/below"):
        answer = gateway.get(path)
        assert (answer.status_code, answer.text) == (200, path)
    for path in ("/treehouse", "/nothing", "/smaller"):
        answer = gateway.get(path)
        assert (answer.status_code, answer.json()["error"]) == (
            404,
            "there is nothing at this path",
        )


def test_a_redirect_of_the_gateway_stays_at_its_address(gateway: httpx.Client) -> None:
    answer = gateway.get("/tree", follow_redirects=True)
    assert (answer.status_code, answer.text) == (200, "/tree/")


def test_a_gateway_limits_how_often(gateway: httpx.Client) -> None:
    answers = [gateway.get("/rare") for _ in range(8)]
    refused = [one for one in answers if one.status_code == 429]
    assert refused, "one a second and one more at once were allowed"
    assert refused[0].headers["content-type"] == "application/json"
    assert "too many requests" in refused[0].json()["error"]
    assert gateway.get("/small").status_code == 200, "another route has a limit of its own"


def test_a_gateway_limits_how_much(gateway: httpx.Client) -> None:
    assert gateway.post("/small", content=b"x" * 1024).status_code == 200
    answer = gateway.post("/small", content=b"x" * 1025)
    assert (answer.status_code, "larger" in answer.json()["error"]) == (413, True)


def test_a_gateway_limits_how_long(gateway: httpx.Client) -> None:
    start = time.monotonic()
    answer = gateway.get("/late")
    assert (answer.status_code, "too long" in answer.json()["error"]) == (504, True)
    assert time.monotonic() - start < 4, "the service would have answered after 5 s"


def test_a_gateway_answers_for_a_service_that_is_away(
    services: dict[str, Any], gateway: httpx.Client
) -> None:
    away = services["away"]
    until(lambda: gateway.get("/away").status_code == 200, "the service answers")
    away.stop()
    # Its address is known for some seconds more: until then, to connect takes too long.
    until(lambda: gateway.get("/away").status_code == 502, "the gateway knows that it is away")
    answer = gateway.get("/away")
    assert (answer.status_code, "does not answer" in answer.json()["error"]) == (502, True)
    away.start()
    until(lambda: gateway.get("/away").status_code == 200, "the service answers again")


def test_a_gateway_says_what_it_knows_and_starts_a_trace(gateway: httpx.Client) -> None:
    headers = gateway.get("/headers", headers={"traceparent": "of the client"}).json()
    assert headers["host"] == gateway.base_url.netloc.decode()
    assert headers["x-forwarded-proto"] == "http"
    trace_id = headers["x-request-id"]
    assert headers["traceparent"] == f"00-{trace_id}-{trace_id[:16]}-01"
    assert not {"upgrade", "connection"} & headers.keys()


def test_a_gateway_passes_websockets_on_where_a_route_says_so(gateway: httpx.Client) -> None:
    base = str(gateway.base_url).replace("http://", "ws://").rstrip("/")
    with connect(f"{base}/socket") as connection:
        for message in ("first", "second"):
            connection.send(message)
            assert connection.recv(timeout=10) == message
    with pytest.raises(InvalidStatus), connect(f"{base}/tree/"):
        pass


def test_a_gateway_is_for_its_clients(gateway: httpx.Client, services: dict[str, Any]) -> None:
    api_keys.check_who_may_use_it(gateway, services["gateway"])
    rejected = gateway.get("/keys")
    assert rejected.json() == {"error": "this path requires an API key"}


def test_a_name_of_a_client_cannot_be_forged(
    gateway: httpx.Client, services: dict[str, Any]
) -> None:
    api_keys.check_names_cannot_be_forged(gateway, services["gateway"])


def test_a_gateway_counts_each_client(gateway: httpx.Client, services: dict[str, Any]) -> None:
    api_keys.check_limits_count_each_client(gateway, services["gateway"])


def test_a_gateway_shows_no_key(fields: Project, services: dict[str, Any]) -> None:
    api_keys.check_no_key_is_shown(fields, services["gateway"])


def test_only_https_leaves_the_host(engine: Any, fields: Project) -> None:
    """The address of Docker's bridge stands for one that other machines reach."""
    outputs, address = fields.outputs(), bridge_address(engine)
    url = httpx.URL(outputs["urls"]["gateway-https"])
    assert url.host == address
    authority = ssl.create_default_context(cadata=outputs["certificateAuthority"])
    assert httpx.get(url, verify=authority).status_code == 200
    assert httpx.get(url.join("/keys"), verify=authority).status_code == 401
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, httpx.URL(outputs["urls"]["gateway"]).port), timeout=5)


# The tests below change the stack.


def test_a_rotated_key_replaces_the_old_one(
    engine: Any, fields: Project, gateway: httpx.Client, services: dict[str, Any]
) -> None:
    old, kept = (api_keys.key(services["gateway"], each) for each in ("ci", "mobile"))
    fields.configure({**fields.settings, "secretGenerations": {"client-ci": 2}})
    up = fields.up()
    assert up.status == 0, up.output
    new = api_keys.key(containers(engine, STACK)["gateway"], "ci")
    answers = {
        each: gateway.get("/keys", headers=api_keys.bearer(each)) for each in (old, new, kept)
    }
    assert [one.status_code for one in answers.values()] == [401, 200, 200]


def test_a_profile_brings_its_services_and_takes_them_away(engine: Any, fields: Project) -> None:
    assert "optional" not in containers(engine, STACK)
    settings = fields.settings
    fields.configure({**settings, "profiles": ["more"]})
    up = fields.up()
    assert up.status == 0, up.output
    assert "optional" in containers(engine, STACK)
    fields.configure(settings)
    up = fields.up()
    assert up.status == 0, up.output
    assert "optional" not in containers(engine, STACK)


def test_a_service_is_unpinned_and_is_given_the_time_to_end(engine: Any, fields: Project) -> None:
    changed = {"several": fields.settings["services"]["several"], "lingering": {"cpu": 0.4}}
    fields.configure({**fields.settings, "services": changed})
    up = fields.up()
    assert up.status == 0, up.output
    services = containers(engine, STACK)
    _, output = inside(services["special"], "grep Cpus_allowed_list /proc/1/status")
    assert output.split()[1] != "0"
    # Its process is a new one, and the one before left a note when it had ended as it wanted.
    assert inside(services["lingering"], "cat /data/ended") == (0, "SIGINT")
    fields.configure(fields.settings)


@pytest.fixture
def ailing(engine: Any, tmp_path: Path) -> Iterator[Project]:
    stack = "pytest-ailing"
    remove(engine, stack)
    project = Project(tmp_path / "project", stack, {"system": "ailing.cured"}, systems=TEST_SYSTEMS)
    yield project
    project.destroy()
    remove(engine, stack)


@pytest.mark.parametrize(
    ("system", "says"),
    [
        pytest.param(
            "ailing.never",
            [
                "strata-pytest-ailing-server-1: was not healthy within 5 s",
                "last output of its health check: 7 of 9 shards",
                "waiting for shards",
            ],
            id="never healthy",
        ),
        pytest.param(
            "ailing.crashing",
            [
                "times, most recently with status 7",
                "the disk is on fire",
            ],
            id="ends again and again",
        ),
        pytest.param(
            "ailing.ended",
            [
                "strata-pytest-ailing-server-1: exited with status 7",
                "the disk is on fire",
            ],
            id="ends and stays so",
        ),
    ],
)
def test_a_service_that_ails_fails_the_update_and_the_next_one_repairs(
    engine: Any, ailing: Project, system: str, says: list[str]
) -> None:
    ailing.configure({**ailing.settings, "system": system})
    start = time.monotonic()
    up = ailing.up()
    assert up.status != 0, up.output
    assert time.monotonic() - start < 60, "it is said soon: the probe has 120 s"
    for words in (*says, "docker logs strata-pytest-ailing-server-1"):
        assert words in up.output, up.output
    assert "Traceback" not in up.output, up.output
    assert "client" not in containers(engine, ailing.stack), "its server was never healthy"
    ailing.configure(ailing.settings)
    repaired = ailing.up()
    assert repaired.status == 0, repaired.output
    assert set(containers(engine, ailing.stack)) == {"server", "client"}


def test_a_service_returns_to_its_files_before_a_failed_update(
    engine: Any, ailing: Project
) -> None:
    for _ in range(2):
        up = ailing.up()
        assert up.status == 0, up.output
        server = containers(engine, ailing.stack)["server"]
        assert server.exec_run(["cat", "/etc/server/state"]).output == b"well"
        ailing.configure({**ailing.settings, "system": "ailing.never"})
        assert ailing.up().status != 0
        ailing.configure(ailing.settings)
