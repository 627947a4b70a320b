"""A Redis Cluster on real Docker: it forms itself, outlives the loss of a primary, and is backed up continuously."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from docker.errors import APIError

from strata.components.engines import restic_backup
from strata.components.engines.backups import SCRIPT_FILE
from strata.components.engines.redis import (
    ADMIN,
    ADMIN_PASSWORD_FILE,
    EXPORTER,
    USER,
)
from strata.components.engines.redis_cluster import MONITORING, NODES
from strata.images.choose import choose
from strata.images.source import resolve
from strata.model import Secret, UserPassword
from strata.ops.continuous import ContinuousBackups
from strata.platforms.docker.health import unsupervised
from tests.docker import images
from tests.docker.conftest import output_of, remove
from tests.docker.faults import hanging
from tests.docker.mutual_tls import secrets_of
from tests.docker.operations import backups_of, ops, restored
from tests.docker.prometheus import prometheus
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-redis-cluster"


@pytest.fixture(scope="module")
def cluster(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    remove(engine, STACK)
    project = Project(
        tmp_path_factory.mktemp("redis-cluster") / "project",
        STACK,
        {
            "system": "redis_cluster",
            "services": {
                "store": {"backup": {}},
                "store-backup": {"cpu": 2, "cpuReserved": 0.1},
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


def node(engine: Any, ordinal: int) -> Any:
    return engine.containers.get(f"strata-{STACK}-store-{ordinal}")


def run_cli(
    container: Any, *command: str, user: str = ADMIN, password_file: str = ADMIN_PASSWORD_FILE
) -> tuple[int, str]:
    """Runs redis-cli in a container, following the cluster's redirections."""
    script = f"REDISCLI_AUTH=$(<{password_file}) redis-cli --user {user} -c {' '.join(command)}"
    status, output = container.exec_run(["bash", "-c", script])
    return status, output.decode().strip()


def redis(container: Any, *command: str) -> str:
    status, output = run_cli(container, *command)
    assert status == 0, output
    return output


CLIENT_PASSWORD_FILE = "/run/secrets/redis-password"  # a path


def run_client(engine: Any, *command: str) -> tuple[int, str]:
    """The same in the client service, by the name of the datastore."""
    client = engine.containers.get(f"strata-{STACK}-client-1")
    return run_cli(client, "-h", "store", *command, user=USER, password_file=CLIENT_PASSWORD_FILE)


def from_client(engine: Any, *command: str) -> str:
    """Tries again as the clients of a cluster do: a node that was restarted tells the others its host name
    a moment later, and until then they redirect to "?"."""

    def answered() -> list[str]:
        status, output = run_client(engine, *command)
        settles = "Redis at ?" in output or output.startswith("CLUSTERDOWN")
        return [output] if status == 0 and not settles else []

    (output,) = until(answered, f"{command} is answered", 20)
    return output


def primary_of(engine: Any, key: str) -> Any:
    slot = from_client(engine, "cluster", "keyslot", key)
    return next(
        container
        for container in (node(engine, ordinal) for ordinal in range(NODES))
        if "role:master" in redis(container, "info", "replication")
        and redis(container, "cluster", "countkeysinslot", slot) != "0"
    )


def write_to_primary_and_replica(engine: Any) -> None:
    """After a failover, it takes a moment until all nodes know the primary."""

    def acknowledged() -> bool:
        output = from_client(engine, "<<<", "$'set key kept\\nwait 1 5000'")
        return output.splitlines()[-1] == "1"

    until(acknowledged, "a replica has the key, too")


def test_the_cluster_is_complete_when_the_update_ends(engine: Any, cluster: Project) -> None:
    assert cluster.stack == STACK
    info = dict(line.split(":") for line in redis(node(engine, 0), "cluster", "info").splitlines())
    assert info["cluster_state"] == "ok"
    assert info["cluster_slots_ok"] == "16384"
    assert (info["cluster_known_nodes"], info["cluster_size"]) == (str(NODES), "3")


@contextmanager
def exporter(engine: Any, cluster: Project) -> Iterator[Any]:
    """The exporter, in the network of the client. The system of this test isn't observed."""
    images.ensure(engine, "redis-exporter")
    password = secrets_of(cluster).encode(Secret("store", UserPassword(EXPORTER)))
    running = engine.containers.run(
        resolve("redis-exporter", choose()[0]),
        ["-redis.addr=redis://store:6379", f"-redis.user={EXPORTER}", "-config-command=-"],
        environment={"REDIS_PASSWORD": password},
        network_mode=f"container:strata-{STACK}-client-1",
        detach=True,
    )
    try:
        yield running
    finally:
        running.remove(force=True)


def test_the_exporter_reads_the_cluster(engine: Any, cluster: Project) -> None:
    """The metrics that its alerts use."""
    with exporter(engine, cluster) as running:
        read = "exec 3<>/dev/tcp/127.0.0.1/9121; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"

        def found() -> dict[str, str]:
            lines = running.exec_run(["bash", "-c", read]).output.decode().splitlines()
            return dict(line.rsplit(" ", 1) for line in lines if line.startswith("redis_"))

        metrics = until(found, "the exporter answers")
        assert metrics["redis_up"] == metrics["redis_cluster_state"] == "1"
        assert metrics["redis_cluster_slots_ok"] == "16384"
        assert metrics["redis_cluster_slots_pfail"] == metrics["redis_cluster_slots_fail"] == "0"
        assert (metrics["redis_cluster_known_nodes"], metrics["redis_cluster_size"]) == ("6", "3")


def is_healthy(container: Any) -> bool:
    """By the container's own health check, now."""
    probe = unsupervised(container.attrs["Config"]["Healthcheck"]["Test"][1:])
    return bool(container.exec_run(list(probe)).exit_code == 0)


def test_a_node_that_hangs_fails_its_probe(engine: Any, cluster: Project) -> None:
    assert cluster.stack == STACK
    hung = node(engine, NODES - 1)
    with hanging(hung):
        assert not is_healthy(hung)
    until(lambda: is_healthy(hung), "it has recovered")


def test_keys_outlive_the_loss_of_a_primary_with_its_replica(engine: Any, cluster: Project) -> None:
    """Meanwhile the cluster rejects commands, which is reported."""
    write_to_primary_and_replica(engine)
    slot = from_client(engine, "cluster", "keyslot", "key")
    owners = [
        container
        for container in (node(engine, ordinal) for ordinal in range(NODES))
        if redis(container, "cluster", "countkeysinslot", slot) == "1"
    ]
    assert len(owners) == 2
    client = engine.containers.get(f"strata-{STACK}-client-1")
    with (
        exporter(engine, cluster),
        prometheus(engine, client, "store", "127.0.0.1:9121", MONITORING) as observed,
    ):
        for container in owners:
            # Docker would start it again at once.
            container.update(restart_policy={"Name": "no"})
            os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
        until(lambda: observed.is_firing("RedisClusterDown"), "the alert fires")
        for container in owners:
            container.update(restart_policy={"Name": "always"})
            container.start()
        until(lambda: run_client(engine, "get", "key") == (0, "kept"), "the key is there")
        until(lambda: not observed.is_firing("RedisClusterDown"), "the alert is resolved")


def test_each_node_has_a_volume_and_a_stable_host_name(engine: Any, cluster: Project) -> None:
    volumes = set()
    for ordinal in range(NODES):
        container = node(engine, ordinal)
        assert container.attrs["Config"]["Hostname"] == f"store-{ordinal}"
        volumes |= {
            mount["Name"] for mount in container.attrs["Mounts"] if mount["Destination"] == "/data"
        }
    assert volumes == {f"strata-{cluster.stack}-store-data.{ordinal}" for ordinal in range(NODES)}


@pytest.mark.fault(
    "a primary of a Redis Cluster is killed (SIGKILL)",
    holds="its replica takes over, and the key is kept; the killed node returns as a replica",
)
def test_a_replica_takes_over_when_its_primary_is_killed(engine: Any, cluster: Project) -> None:
    assert cluster.stack == STACK
    # Acknowledged by the replica too, as a client asks for what must not be lost.
    write_to_primary_and_replica(engine)
    primary = primary_of(engine, "key")
    identity = redis(primary, "cluster", "myid")
    # Stopped as long as the test looks: Docker would start it again at once.
    primary.update(restart_policy={"Name": "no"})
    os.kill(primary.attrs["State"]["Pid"], signal.SIGKILL)

    def taken_over() -> bool:
        return run_client(engine, "get", "key") == (0, "kept")

    until(taken_over, "the replica has taken over")
    survivor = next(
        container
        for container in (node(engine, ordinal) for ordinal in range(NODES))
        if container.id != primary.id
    )
    lines = redis(survivor, "cluster", "nodes").splitlines()
    assert any(line.startswith(identity) and "fail" in line for line in lines)

    # The killed node comes back, and serves as a replica of the one that took over.
    primary.update(restart_policy={"Name": "always"})
    primary.start()
    primary.reload()

    def is_replica() -> bool:
        return "role:slave" in run_cli(primary, "info", "replication")[1]

    until(is_replica, "the killed node is a replica")
    again = cluster.up()
    assert again.status == 0, again.output
    assert "24 unchanged" in again.output


def test_all_nodes_are_backed_up_and_restored(
    engine: Any, cluster: Project, tmp_path: Path
) -> None:
    assert from_client(engine, "set", "key", "kept") == "OK"
    with restored(cluster, tmp_path / "backup") as backup:
        # Those of the nodes and both of the continuous backups.
        assert f"{NODES + 2} volumes" in backup.output, backup.output
        assert from_client(engine, "set", "key", "changed") == "OK"
    assert from_client(engine, "get", "key") == "kept"


def test_a_client_has_no_rights_over_the_cluster(engine: Any, cluster: Project) -> None:
    assert cluster.stack == STACK
    for attack in ("cluster reset hard", "config set dir /tmp", "flushall", "acl list"):
        _, output = run_client(engine, *attack.split())
        assert output.startswith("NOPERM"), attack
    client = engine.containers.get(f"strata-{STACK}-client-1")
    _, output = client.exec_run(["redis-cli", "-h", "store", "cluster", "nodes"])
    assert output.decode().startswith("NOAUTH")


KEYS = ("{b}:kept", "{c}:kept", "{a}:kept")
"""Keys of the three primaries, in the order in which a restore copies them."""
MANY = 100_000
"""Keys that take seconds to copy."""


def script(container: Any, command: str) -> str:
    status, output = container.exec_run(["bash", "-c", command])
    assert status == 0, output.decode()
    return str(output.decode().strip())


def backup_container(engine: Any) -> Any:
    return engine.containers.get(f"strata-{STACK}-store-backup-1")


def has_started(container: Any) -> bool:
    """It is restarted while the nodes of the cluster don't know each other well."""
    try:
        return is_healthy(container)
    except APIError:
        return False


@pytest.fixture(scope="module")
def backups(engine: Any, cluster: Project) -> ContinuousBackups:
    first = ["test", "-e", f"{restic_backup.FOLDER}/times/full"]
    container = backup_container(engine)
    until(lambda: container.exec_run(first).exit_code == 0, "the first backup is made by itself")
    return backups_of(engine, cluster, "store")


def write(engine: Any, text: str) -> None:
    for key in KEYS:
        assert from_client(engine, "set", key, text, "ex", "3600") == "OK"


def read(engine: Any) -> list[str]:
    return [from_client(engine, "get", key) for key in KEYS]


def test_the_state_of_a_backup_comes_back(
    engine: Any, cluster: Project, backups: ContinuousBackups
) -> None:
    slots = {int(from_client(engine, "cluster", "keyslot", key)) * 3 // 16384 for key in KEYS}
    assert slots == {0, 1, 2}
    write(engine, "before")
    # An RDB has all that a node has, and so has what is copied to another one.
    assert from_client(engine, "vadd", "vectors", "values", "2", "1", "2", "kept") == "1"
    library = "$'#!lua name=kept\\nredis.register_function(\"kept\", function() return 1 end)'"
    primaries = [primary_of(engine, key) for key in KEYS]
    for primary in primaries:
        assert redis(primary, "function", "load", library) == "kept"
    backups.mark("between")
    write(engine, "after")
    assert from_client(engine, "del", "vectors") == "1"
    script(
        primaries[-1],
        f"REDISCLI_AUTH=$(<{ADMIN_PASSWORD_FILE}) redis-cli --user {ADMIN} --pipe"
        f" < <(seq --format='SET {{a}}:%.0f value' {MANY})",
    )
    states: list[str] = []
    ended = Event()

    def look() -> None:
        while not ended.is_set():
            for key in KEYS:
                # A key that doesn't exist is "", and so is the output if the connection is closed.
                status, output = run_client(engine, "get", key)
                is_served = status == 0 and output in ("before", "after", "")
                states.append(output if is_served else "refused")

    reader = Thread(target=look)
    reader.start()
    try:
        done = ops(cluster, "restore", "--service", "store", "--to", "between")
    finally:
        ended.set()
        reader.join()
    assert done.status == 0, done.output
    # Clients see all keys of one state, then none, then all of the other.
    assert "refused" in states
    served = (state for state in states if state != "refused")
    assert [state for state, _ in groupby(served)] == ["after", "before"]
    assert read(engine) == ["before"] * 3
    assert all(3000 < int(from_client(engine, "ttl", key)) <= 3600 for key in KEYS)
    assert from_client(engine, "vcard", "vectors") == "1"
    for primary in primaries:
        assert int(redis(primary, "dbsize")) < MANY
        assert "kept" in redis(primary, "function", "list")
        assert redis(primary, "config", "get", "maxmemory").split()[-1] != "0"


@pytest.mark.fault(
    "the restore of a Redis Cluster is killed (SIGKILL) while it copies keys",
    holds="no client reads a part of them; the next start begins it again, and completes it",
)
def test_a_killed_restore_continues(engine: Any, backups: ContinuousBackups) -> None:
    """It returns to the state before the restore, which is a backup, too."""
    container, primary = backup_container(engine), primary_of(engine, KEYS[-1])
    assert "before-restore" in backups.list()
    script(
        container, f"bash {SCRIPT_FILE} restore name before-restore && bash {SCRIPT_FILE} accept"
    )
    container.restart(timeout=0)
    until(lambda: 1000 < int(redis(primary, "dbsize")) < MANY, "keys are being copied")
    container.reload()
    os.kill(container.attrs["State"]["Pid"], signal.SIGKILL)
    assert "WRONGPASS" in run_client(engine, "get", KEYS[0])[1]
    assert not has_started(container)
    until(lambda: has_started(container), "the next start has completed it")
    assert read(engine) == ["after"] * 3
    assert int(redis(primary, "dbsize")) > MANY


def wipe(engine: Any, *volumes: str) -> None:
    """Deletes everything in volumes of the stack."""
    output_of(
        engine,
        backup_container(engine).image.id,
        ["bash", "-c", "rm -rf /v/*/* /v/*/.re*"],
        entrypoint=[],
        network_mode="none",
        volumes={f"strata-{STACK}-{name}": {"bind": f"/v/{name}"} for name in volumes},
    )


@pytest.mark.fault(
    "the data of all nodes of a Redis Cluster with continuous backups is lost",
    holds="the next start restores the newest backup",
)
def test_lost_data_comes_back_by_itself(engine: Any, backups: ContinuousBackups) -> None:
    container = backup_container(engine)
    write(engine, "lost")
    backups.create(full=False)
    nodes = [node(engine, ordinal) for ordinal in range(NODES)]
    for each in [container, *nodes]:
        each.kill()
    wipe(engine, *(f"store-data.{ordinal}" for ordinal in range(NODES)))
    for each in [*nodes, container]:
        each.start()
    until(lambda: has_started(container), "the newest backup is restored")
    assert read(engine) == ["lost"] * 3


@pytest.mark.fault(
    "the volume of the service that backs up a Redis Cluster is lost",
    holds="the cluster keeps its keys",
)
def test_a_lost_volume_of_the_backups_leaves_the_keys(
    engine: Any, backups: ContinuousBackups
) -> None:
    backups.create(full=False)
    write(engine, "newer")
    container = backup_container(engine)
    container.kill()
    wipe(engine, "store-backup-data")
    container.start()
    until(lambda: has_started(container), "it knows the cluster")
    assert read(engine) == ["newer"] * 3
