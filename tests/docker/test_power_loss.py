"""A host that loses power while documents are posted: its engine brings the stack back, with every document that was
accepted."""

import fcntl
import os
import random
import secrets
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from strata.images.build import build
from strata.images.source import Source
from tests.docker.conftest import containers, free_port, health
from tests.docker.documents import Poster, until_stored
from tests.docker.linked_network import LinkedNetwork
from tests.docker.mutual_tls import context, secrets_of
from tests.docker.own_engine import ADDRESSES, Engine, running
from tests.faults import ACKNOWLEDGED, RECOVERY_SECONDS
from tests.project import Project
from tests.wait import until

STACK = "pytest-power-loss"
SERVICES = {"gateway", "api", "rabbitmq", "worker", "inference", "postgres", "redis"}
IMAGES = ("nginx", "application", "rabbitmq", "inference", "postgres", "redis")
DISK_BYTES = 20 * 1024**3
"""The file has no more blocks than what is written to it."""
SHUTDOWN, WITHOUT_JOURNAL = 0x8004587D, 2
"""Linux's EXT4_IOC_SHUTDOWN: the file system writes nothing more to its disk. File systems are tested for power loss
by it (xfstests)."""
LONGEST_SECONDS = 5.0
"""From the first accepted documents until power is lost."""


class Host(Engine):
    """An engine with the disk, the processes and the network of a host. Its power can be cut."""

    # As the first process of its namespace, the shell collects those whose parent has ended.
    script = 'dockerd "$@"; exit'

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.network = LinkedNetwork("host", "203.0.113")
        self._disk, self._data = folder / "disk", folder / "data"

    def namespaces(self) -> tuple[str, ...]:
        processes = ("unshare", "--pid", "--mount-proc", "--fork", "--kill-child")
        return (*self.network.inside, *processes)

    def start(self) -> Any:
        if not self._data.is_mount():
            self.network.create()
            mount = ["mount", "-o", "loop", str(self._disk), str(self._data)]
            subprocess.run(mount, check=True)
        return super().start()

    def lose_power(self) -> None:
        """All processes end at once, and with them the network and what Docker has in /run. The disk keeps what
        was written to it; what the kernel still had in memory is lost."""
        assert self.process is not None
        data = os.open(self._data, os.O_RDONLY)
        fcntl.ioctl(data, SHUTDOWN, struct.pack("I", WITHOUT_JOURNAL))
        os.close(data)
        self.process.kill()
        self.process.wait()
        self.network.delete()
        subprocess.run(["umount", str(self._data)], check=True)

        def is_free() -> bool:
            command = ["losetup", "--associated", str(self._disk)]
            return not subprocess.run(command, capture_output=True, check=True).stdout

        until(is_free, "no process uses the disk")
        shutil.rmtree(self.folder / "exec")

    def stop(self) -> None:
        self.lose_power()


@dataclass(frozen=True)
class Running:
    """The reference system on the host, and how a client reaches its gateway."""

    host: Host
    project: Project
    url: str
    options: dict[str, Any]

    def is_healthy(self, client: Any) -> bool:
        found = containers(client, STACK)
        return found.keys() == SERVICES and all(health(one) == "healthy" for one in found.values())


def empty_disk(folder: Path) -> None:
    (folder / "data").mkdir()
    with (folder / "disk").open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", str(folder / "disk")], check=True)


@pytest.fixture(scope="module")
def reference(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The reference system without observability, on a host whose power can be cut."""
    build(engine, IMAGES, Source.LOCAL, lambda _name, _state: None)
    key = secrets.token_hex(32)
    with running(Host, empty_disk) as host:
        for image in IMAGES:
            host.load(engine, image)
        ports = {port: free_port() for port in ("http", "https")}
        settings = {
            "system": "reference",
            "images": "local",
            "network": {"range": ADDRESSES},
            "observability": {"enabled": False},
            "ports": ports,
            # It can be reached from here, which 127.0.0.1 of the host can't.
            "gateway": {"address": host.network.address, "clients": {"poster": {"keys": [key]}}},
        }
        folder = tmp_path_factory.mktemp("power-loss") / "project"
        project = Project(folder, STACK, settings, inside=host.network.inside)
        project.environment["DOCKER_HOST"] = host.url
        up = project.up()
        assert up.status == 0, up.output
        options = {
            "verify": context(secrets_of(project)),
            "headers": {"authorization": f"Bearer {key}"},
        }
        url = f"https://{host.network.address}:{ports['https']}"
        yield Running(host, project, url, options)
        destroyed = project.destroy()
        assert destroyed.status == 0, destroyed.output


@pytest.mark.fault(
    "the host loses power under load: its file system is cut off from the disk, and all its processes end",
    holds="the engine starts the stack, without an update; documents are accepted again, and each one accepted"
    " before is stored; the next update changes nothing",
)
@pytest.mark.parametrize("loss", [1, 2, 3])
def test_a_host_that_loses_power(
    reference: Running, loss: int, record_property: Callable[[str, object], None]
) -> None:
    seed = secrets.randbelow(2**32)
    print(f"the seed of the moment: {seed}")
    poster = Poster(reference.url, f"loss-{loss}", **reference.options)
    poster.start()
    until(lambda: len(poster.accepted) >= 5, "documents are accepted")
    # The moment is any, and no condition.
    unwritten = reference.host.folder / "data/unwritten"
    time.sleep(random.Random(seed).uniform(0, LONGEST_SECONDS))  # noqa: S311 (no secret)

    unwritten.write_text("not on the disk yet")
    reference.host.lose_power()
    begin = time.monotonic()
    client = reference.host.start()
    assert not unwritten.exists() or unwritten.read_text() == "", "the disk lost nothing"
    until(lambda: reference.is_healthy(client), "the stack is healthy by itself", 180)
    poster.until_more_accepted(90)
    record_property(RECOVERY_SECONDS, time.monotonic() - begin)
    accepted = poster.end()
    with httpx.Client(base_url=reference.url, timeout=30, **reference.options) as gateway:
        until_stored(gateway, accepted)
    record_property(ACKNOWLEDGED, len(accepted))

    preview = reference.project.run("preview", "--expect-no-changes")
    assert preview.status == 0, preview.output
    again = reference.project.up()
    assert again.status == 0, again.output
    assert "created" not in again.output, again.output
