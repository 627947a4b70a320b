"""A Docker engine of a test's own, with a folder, a socket and a network that nobody else has."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import docker
import pytest
from docker.errors import DockerException

from strata.images.source import Source, resolve
from strata.platforms.docker.names import STACK
from tests.wait import until

ADDRESSES = "10.127.0.0/16"
"""The range of a stack on such an engine: no other engine of this host has it."""


class Engine:
    """A `dockerd` with all that is its own under one folder."""

    script = 'ip link set lo up && exec dockerd "$@"'
    """What the shell runs that starts it."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/docker.sock"
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def namespaces(self) -> tuple[str, ...]:
        """The command that it runs in. It needs a network of its own: an engine takes the bridge `docker0` and
        the packet filter of the network it is in for its own, and another engine is there."""
        return ("unshare", "--net")

    def start(self) -> Any:
        """Starts it where it does not run, and gives a client once it answers."""
        if self.process is not None and self.process.poll() is None:
            return docker.DockerClient(base_url=self.url)
        self.folder.joinpath("docker.pid").unlink(missing_ok=True)
        with self.folder.joinpath("log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *self.namespaces(),
                    *("bash", "-c", self.script),
                    "dockerd",
                    f"--host={self.url}",
                    f"--data-root={self.folder}/data",
                    f"--exec-root={self.folder}/exec",
                    f"--pidfile={self.folder}/docker.pid",
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

        return until(answering, f"the engine answers (see {self.folder}/log)")

    def load(self, engine: Any, image: str) -> None:
        """Gives it an image that another engine has, by its logical name."""
        saved = engine.images.get(resolve(image, Source.LOCAL)).save(named=True)
        self.start().images.load(saved)

    def kill(self) -> None:
        """Ends it as a crash does, with the containerd that it started, but not the containers."""
        assert self.process is not None
        file = self.folder / "exec/containerd/containerd.pid"
        containerd = Path("/proc", file.read_text(), "stat")
        self.process.kill()
        self.process.wait()

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
        assert self.process is not None
        self.process.terminate()
        self.process.wait(timeout=60)


Kind = TypeVar("Kind", bound=Engine)


def running_engine(prepare: Callable[[Path], None]) -> AbstractContextManager[Engine]:
    """An engine under a new folder, which `prepare` may change before the engine starts."""
    return running(Engine, prepare)


@contextmanager
def running(kind: type[Kind], prepare: Callable[[Path], None]) -> Iterator[Kind]:
    """As `running_engine`, but with an engine of another class."""
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.fail("this test starts a Docker engine of its own: it needs dockerd, and root")
    before = default_bridge()
    # A short path: that of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="strata-engine-"))
    engine = kind(folder)
    try:
        prepare(folder)
        try:
            engine.start()
            yield engine
        finally:
            _remove(engine)
    finally:
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if (where := mount.split()[1]).startswith(f"{folder}/"):
                subprocess.run(["umount", where], check=True)
        shutil.rmtree(folder)
    assert default_bridge() == before, "the bridge of the other engine was touched"


def default_bridge() -> str | None:
    """What tells the bridge `docker0` of this host from one made anew."""
    index = Path("/sys/class/net/docker0/ifindex")
    return index.read_text() if index.exists() else None


def _remove(engine: Engine) -> None:
    """Removes what the engine runs, and the engine."""
    client = engine.start()
    for container in client.containers.list(all=True):
        container.remove(force=True)
    for network in client.networks.list(filters={"label": STACK}):
        network.remove()
    engine.stop()
