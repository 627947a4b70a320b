"""A disk that is full and has space again: the datastores go on, and nothing acknowledged is lost."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pika  # type: ignore[import-untyped]
import pytest
from pika.exceptions import AMQPError  # type: ignore[import-untyped]

from tests.docker import stores
from tests.docker.conftest import containers, free_port, health, running
from tests.faults import ACKNOWLEDGED, RECOVERY_SECONDS
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-full-disk"
QUEUE = "kept"
DISK_MIB = 800
"""RabbitMQ accepts messages while 256 MiB are free."""
VOLUMES = {"postgres": "data", "redis": "data", "rabbitmq": "data", "keeper": "files"}


class Store:
    """`write` returns whether the store acknowledged; `kept` reads all back."""

    def __init__(self, write: Callable[[int], bool], kept: Callable[[], set[int]]) -> None:
        self._write = write
        self.kept = kept
        self.acknowledged: set[int] = set()
        self._next = 0

    def is_rejected(self) -> bool:
        return not self.write()

    def write(self) -> bool:
        self._next += 1
        if self._write(self._next):
            self.acknowledged.add(self._next)
            return True
        return False


def run(engine: Any, service: str, script: str) -> tuple[int, str]:
    container = containers(engine, STACK).get(service)
    if container is None:
        return 1, f"{service} doesn't run"
    status, output = container.exec_run(["timeout", "5", "bash", "-c", script])
    return status, output.decode().strip()


def sql(engine: Any, statement: str) -> tuple[int, str]:
    return run(engine, "postgres", stores.sql(statement))


def postgres(engine: Any) -> Store:
    status, output = sql(engine, "CREATE TABLE kept (n integer, text text)")
    assert status == 0, output

    def kept() -> set[int]:
        status, output = sql(engine, "SELECT n FROM kept")
        assert status == 0, output
        return {int(line) for line in output.splitlines()}

    # 64 KiB that don't compress, so that a full disk is felt.
    text = "(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 2000))"
    insert = "INSERT INTO kept VALUES ({n}, {text})"
    return Store(lambda n: sql(engine, insert.format(n=n, text=text))[0] == 0, kept)


def redis(engine: Any) -> Store:
    def ask(order: str) -> str:
        return run(engine, "redis", stores.redis(order))[1]

    return Store(
        lambda n: ask(f"hset kept {n} $(head -c 48000 /dev/urandom | base64 -w0)") == "1",
        lambda: {int(line) for line in ask("hkeys kept").splitlines()},
    )


def rabbitmq(engine: Any) -> Store:
    def connection() -> pika.BlockingConnection:
        found = containers(engine, STACK)
        return stores.broker(found, blocked_connection_timeout=2, socket_timeout=5)

    def write(number: int) -> bool:
        try:
            with connection() as opened:
                channel = opened.channel()
                channel.confirm_delivery()
                quorum = {"x-queue-type": "quorum"}
                channel.queue_declare(QUEUE, durable=True, arguments=quorum)
                body = str(number).encode() + b" " * 64_000
                channel.basic_publish("", QUEUE, body, pika.BasicProperties(delivery_mode=2))
        except (AMQPError, OSError, KeyError):
            return False
        return True

    def kept() -> set[int]:
        with connection() as opened:
            channel = opened.channel()
            found = channel.consume(QUEUE, inactivity_timeout=5)
            return {int(body) for _, _, body in iter(lambda: next(found), (None, None, None))}

    return Store(write, kept)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk with a folder for each volume."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], check=True
    )
    for service in VOLUMES:
        (folder / service).mkdir()
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(file: Path) -> None:
    """Writes a file until the disk has no space left."""
    command = ["dd", "if=/dev/zero", f"of={file}", "bs=1M"]
    written = subprocess.run(command, capture_output=True, check=False)
    assert b"No space left on device" in written.stderr, written.stderr


@pytest.mark.fault(
    "the disk of the data is full, and has space again",
    holds="PostgreSQL, Redis and RabbitMQ reject writes, then accept them again by themselves; all that"
    " they acknowledged is there",
)
def test_a_full_disk(
    engine: Any, tmp_path: Path, disk: Path, record_property: Callable[[str, object], None]
) -> None:
    settings = {
        "system": "datastores",
        "observability": {"enabled": False},
        "ports": {"http": free_port(), "https": free_port()},
        "services": {
            service: {"volumes": {volume: {"folder": str(disk / service)}}}
            for service, volume in VOLUMES.items()
        },
    }
    project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
    with running(engine, project):
        stores = {
            "postgres": postgres(engine),
            "redis": redis(engine),
            "rabbitmq": rabbitmq(engine),
        }
        for name, store in stores.items():
            assert all(store.write() for _ in range(5)), name

        filler = disk / "filler"
        fill(filler)
        for name, store in stores.items():
            until(store.is_rejected, f"{name} rejects a write")
        for store in stores.values():
            for _ in range(3):
                store.write()

        filler.unlink()
        freed = time.monotonic()
        for name, store in stores.items():
            until(store.write, f"{name} accepts a write again", 120)
        record_property(RECOVERY_SECONDS, time.monotonic() - freed)
        found = containers(engine, STACK)
        until(lambda: all(health(found[name]) == "healthy" for name in VOLUMES), "all are healthy")
        for name, store in stores.items():
            assert store.acknowledged <= store.kept(), name
        record_property(ACKNOWLEDGED, sum(len(store.acknowledged) for store in stores.values()))
