"""A Docker engine that stops half way: one error that says so, and the next update repairs.

The engine is one of this test's own, with a folder, a socket and a network that nobody else has.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from strata.images.source import Source, resolve
from tests.faults import RECOVERY_SECONDS
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-stops"
ADDRESSES = "10.127.0.0/16"


class Engine:
    """A `dockerd` with all that is its own under one folder."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Any:
        """Starts it where it does not run, and gives a client once it answers."""
        if self._process is not None and self._process.poll() is None:
            return docker.DockerClient(base_url=self.url)
        self._folder.joinpath("docker.pid").unlink(missing_ok=True)
        with self._folder.joinpath("log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    # A network of its own: an engine takes the bridge `docker0` and the packet
                    # filter of the network it is in for its own, and another engine is there.
                    "unshare",
                    "--net",
                    "bash",
                    "-c",
                    'ip link set lo up && exec dockerd "$@"',
                    "dockerd",
                    f"--host={self.url}",
                    f"--data-root={self._folder}/data",
                    f"--exec-root={self._folder}/exec",
                    f"--pidfile={self._folder}/docker.pid",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def answering() -> Any:
            try:
                return docker.DockerClient(base_url=self.url)
            except DockerException:
                return None

        return until(answering, f"the engine answers (see {self._folder}/log)")

    def kill(self) -> None:
        """Ends it as a crash does, with the containerd that it started, but not the containers."""
        assert self._process is not None
        file = self._folder / "exec/containerd/containerd.pid"
        containerd = Path("/proc", file.read_text(), "stat")
        self._process.kill()
        self._process.wait()

        def ended() -> bool:
            try:
                # The state stands behind the name, which is in brackets.
                return containerd.read_text().rpartition(")")[2].split()[0] == "Z"
            except (FileNotFoundError, ProcessLookupError):
                return True

        until(ended, "containerd ends with the engine")
        # The next engine would wait for it, should nobody have collected its status yet.
        file.unlink(missing_ok=True)

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=60)


@contextmanager
def running_engine(prepare: Callable[[Path], None]) -> Iterator[Engine]:
    """An engine under a new folder, which `prepare` may change before the engine starts."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.fail("this test starts a Docker engine of its own: it needs dockerd, and root")
    before = default_bridge()
    # A short path: that of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="strata-engine-"))
    engine = Engine(folder)
    prepare(folder)
    try:
        engine.start()
        yield engine
    finally:
        _remove(engine)
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (where := mount.split()[1]).startswith(f"{folder}/"):
                subprocess.run(["umount", where], check=True)
        shutil.rmtree(folder)
    assert default_bridge() == before, "the bridge of the other engine was touched"


@pytest.fixture
def own_engine() -> Iterator[Engine]:
    with running_engine(lambda _: None) as engine:
        yield engine


def default_bridge() -> str | None:
    """What tells the bridge `docker0` of this host from one made anew."""
    index = Path("/sys/class/net/docker0/ifindex")
    return index.read_text() if index.exists() else None


def _remove(engine: Engine) -> None:
    """Removes what the engine runs, and the engine."""
    client = engine.start()
    for container in client.containers.list(all=True):
        container.remove(force=True)
    for network in client.networks.list(filters={"label": f"strata.stack={STACK}"}):
        network.remove()
    engine.stop()


def healthy(client: Any) -> bool:
    """Whether both services are, by checks since they started."""
    running = client.containers.list(filters={"label": f"strata.stack={STACK}"})
    states = [one.attrs["State"]["Health"]["Status"] for one in running]
    return states == ["healthy", "healthy"]


@pytest.mark.fault(
    "dockerd is killed (SIGKILL) during an update",
    holds="one error that says so; the next update repairs the stack",
)
@pytest.mark.fault(
    "dockerd is killed or stopped (SIGKILL, SIGTERM), and starts again",
    holds="it starts the stack, without an update; the next update changes nothing",
)
@pytest.mark.parametrize("moment", ["made", "running"])
def test_an_engine_that_stops_half_way(
    engine: Any,
    own_engine: Engine,
    tmp_path: Path,
    moment: str,
    record_property: Callable[[str, object], None],
) -> None:
    client = own_engine.start()
    image = engine.images.get(resolve("probe-server", Source.LOCAL))
    client.images.load(image.save(named=True))
    settings = {"system": "ailing.cured", "network": {"range": ADDRESSES}, "images": "local"}
    project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
    project.environment["DOCKER_HOST"] = own_engine.url
    # Its server is never healthy, so that the update is under way until it is told otherwise.
    project.configure({**settings, "system": "ailing.never"})

    update = project.start("up", "--yes", "--skip-preview")
    until(
        lambda: client.api.containers(all=moment == "made"), f"a container is {moment}", seconds=120
    )
    own_engine.kill()
    output, _ = update.communicate(timeout=60)
    assert update.returncode != 0, output
    assert "Traceback" not in output, output
    # The one is said by the provider, the other by the program, whoever needed Docker next.
    assert "docker.sock" in output or "the engine stopped responding" in output, output

    client = own_engine.start()
    project.configure(settings)
    repaired = project.up()
    assert repaired.status == 0, repaired.output
    running = client.containers.list(filters={"label": f"strata.stack={STACK}"})
    assert sorted(one.labels["strata.service"] for one in running) == ["client", "server"]
    again = project.up()
    assert "created" not in again.output, again.output
    {"made": own_engine.kill, "running": own_engine.stop}[moment]()
    client = own_engine.start()
    begin = time.monotonic()
    until(lambda: healthy(client), "the engine brings the stack back by itself")
    record_property(RECOVERY_SECONDS, time.monotonic() - begin)
    again = project.up()
    assert again.status == 0, again.output
    assert "created" not in again.output, again.output
    destroyed = project.destroy()
    assert destroyed.status == 0, destroyed.output


SMALL_DISK_MIB = 900


def test_an_engine_whose_disk_is_full(tmp_path: Path) -> None:
    def small_disk(folder: Path) -> None:
        (folder / "data").mkdir()
        options = f"size={SMALL_DISK_MIB}m"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder / "data")]
        subprocess.run(command, check=True)

    with running_engine(small_disk) as small:
        settings = {"system": "pair", "network": {"range": ADDRESSES}, "images": "local"}
        project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
        project.environment["DOCKER_HOST"] = small.url
        refused = project.up()
        assert refused.status != 0, refused.output
        assert "docker: disk: " in refused.output, refused.output
        assert "MiB are free in Docker's data folder" in refused.output
        assert "docker system df" in refused.output
        assert small.start().api.containers(all=True) == []
