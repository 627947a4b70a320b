"""Continuous backups by restic: the state of a backup comes back, and what may go wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from strata.components.engines import restic_backup
from strata.ops.continuous import ContinuousBackups, of_service
from strata.ops.running_stack import RunningStack
from strata.platforms.docker.names import ResourceNames, owner_of
from tests.docker import stores
from tests.docker.conftest import bridge_address, running
from tests.docker.operations import ops
from tests.docker.s3_server import Store, s3
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-restic"
SYSTEM = "backed_up_engines"
REPOSITORY = f"{restic_backup.FOLDER}/repository"
ACCESS_KEY = "AKIAOFTHISTEST"
SECRET_KEY = "the-secret-access-key-of-this-test"
# From within, because nothing observes this stack.
METRICS = """
exec 3<> "/dev/tcp/${BACKUP_LISTEN/:/\\/}"
printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3
cat <&3
"""
SECRET = "written-in-plain-text"


@dataclass(frozen=True)
class Case:
    """How a datastore is written and read: scripts in its container. `{}` stands for what is written;
    `read` prints all that was, one in a line. `folder` is that of its data."""

    write: str
    read: str
    folder: str


CASES = {
    "redis": Case(
        write=stores.redis("SADD kept {}"),
        read=stores.redis("SMEMBERS kept"),
        folder="/data",
    ),
}
ENGINES = tuple(CASES)


class Kept:
    """A datastore of the stack, as its container is now."""

    def __init__(self, engine: Any, project: Project, name: str) -> None:
        self.name = name
        self.case = CASES[name]
        seed = Path(project.environment["STRATA_SEED_FILE"]).read_text()
        owner = owner_of(seed.strip().encode())
        names = ResourceNames(project="strata", stack=STACK, system=SYSTEM, owner=owner)
        self.backups: ContinuousBackups = of_service(RunningStack(engine, names), name)
        self.container = engine.containers.get(f"strata-{STACK}-{name}-1")

    def run(self, script: str, **environment: str) -> tuple[int, str]:
        status, output = self.container.exec_run(["bash", "-c", script], environment=environment)
        return int(status), output.decode(errors="replace").strip()

    def inside(self, script: str) -> str:
        status, output = self.run(script)
        assert status == 0, output
        return output

    def write(self, text: str) -> None:
        self.inside(self.case.write.format(text))

    @property
    def kept(self) -> list[str]:
        return sorted(self.inside(self.case.read).split())

    @property
    def serves(self) -> bool:
        return self.run(self.case.read)[0] == 0

    @property
    def metrics(self) -> dict[str, float]:
        """When each task last succeeded, as Prometheus reads it."""
        lines = self.inside(METRICS).splitlines()
        prefix = f'{restic_backup.METRIC}{{kind="'
        found = (
            line.removeprefix(prefix).split('"} ') for line in lines if line.startswith(prefix)
        )
        return {kind: float(seconds) for kind, seconds in found}


@pytest.fixture(scope="module")
def store(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    with s3(folder, bridge_address(engine), "redis-bucket", ACCESS_KEY) as store:
        yield store


def settings(**backup: Any) -> dict[str, Any]:
    return {"system": SYSTEM, "services": {name: {"backup": backup} for name in ENGINES}}


@pytest.fixture(scope="module")
def project(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("restic") / "project"
    project = Project(folder, STACK, settings(), systems=TEST_SYSTEMS)
    with running(engine, project):
        yield project


@pytest.fixture(scope="module", params=ENGINES)
def kept(engine: Any, project: Project, request: pytest.FixtureRequest) -> Kept:
    kept = Kept(engine, project, request.param)
    until(lambda: "full" in kept.metrics, "the first backup is made by itself")
    return kept


def test_the_state_of_a_backup_comes_back(project: Project, kept: Kept) -> None:
    kept.write("a")
    refused: list[str] = []
    ended = Event()

    def read() -> None:
        while not ended.wait(0.2):
            if not kept.serves:
                refused.append("a read")

    reader = Thread(target=read)
    reader.start()
    try:
        kept.backups.create(full=True)
        moment = kept.inside("sleep 1; date --utc --iso-8601=seconds")
        kept.write("b")
        kept.backups.mark("between")
        kept.write("c")
        assert "between" in kept.backups.list()
        kept.backups.verify()
    finally:
        ended.set()
        reader.join()
    assert refused == []
    assert set(kept.metrics) == {"full", "incr", "verify"}
    done = ops(project, "restore", "--service", kept.name, "--to", "between")
    assert done.status == 0, done.output
    assert kept.kept == ["a", "b"]
    kept.write("d")
    done = ops(project, "restore", "--service", kept.name, "--to", moment)
    assert done.status == 0, done.output
    assert kept.kept == ["a"]
    # The data before is kept until the next backup, which comes by itself.
    until(lambda: ".replaced" not in kept.inside(f"ls -A {kept.case.folder}"), "a backup")
    kept.container.restart()
    until(lambda: kept.serves and kept.kept == ["a"], "the data is the same after a restart")
