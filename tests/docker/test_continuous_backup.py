"""Continuous backups of PostgreSQL: back to a moment between two writes, and what may go wrong."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Event, Thread
from typing import Any

import pytest

from strata.components.engines import backups, postgres_backup
from strata.errors import OpsError
from strata.ops.continuous import ContinuousBackups
from tests.docker import stores
from tests.docker.conftest import bridge_address, output_of, running
from tests.docker.operations import backups_of, ops
from tests.docker.s3_server import BUCKET, REGION, Store, s3
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-continuous"
REPOSITORY = f"{postgres_backup.FOLDER}/repository"
CONTAINER = f"strata-{STACK}-postgres-1"
ACCESS_KEY = "AKIAOFTHISTEST"
SECRET_KEY = "the-secret-access-key-of-this-test"
SECRET = "written-in-plain-text"


class Database:
    """The database of a stack, as its container is now."""

    def __init__(self, engine: Any, backups: ContinuousBackups) -> None:
        self.container = engine.containers.get(CONTAINER)
        self.backups = backups

    def run(self, script: str, **environment: str) -> tuple[int, str]:
        status, output = self.container.exec_run(["bash", "-c", script], environment=environment)
        return int(status), output.decode(errors="replace").strip()

    def inside(self, script: str) -> str:
        status, output = self.run(script)
        assert status == 0, output
        return output

    def sql(self, statement: str, role: str = "strata") -> str:
        return self.inside(stores.sql(statement, role))

    def write(self, text: str) -> None:
        self.sql(f"INSERT INTO kept VALUES ('{text}')")  # noqa: S608

    @property
    def kept(self) -> list[str]:
        return self.sql("SELECT text FROM kept ORDER BY text").split()

    @property
    def serves(self) -> bool:
        return self.run("psql --dbname=strata --command='SELECT 1'")[0] == 0


@pytest.fixture(scope="module")
def store(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    with s3(folder, bridge_address(engine), "postgres-bucket", ACCESS_KEY) as store:
        yield store


# Until the end of the stack, whose database archives while it stops.
@pytest.fixture(scope="module")
def project(
    engine: Any, tmp_path_factory: pytest.TempPathFactory, store: Store
) -> Iterator[Project]:
    project = Project(
        tmp_path_factory.mktemp("continuous") / "project",
        STACK,
        {"system": "backed_up", "services": {"postgres": {"backup": {"fullsKept": 3}}}},
        systems=TEST_SYSTEMS,
    )
    with running(engine, project):
        yield project


@pytest.fixture(scope="module")
def database(engine: Any, project: Project) -> Database:
    database = connect(engine, project)
    database.sql("CREATE TABLE kept (text text)")
    until(lambda: "full backup" in database.backups.list(), "the first backup is made by itself")
    return database


def connect(engine: Any, project: Project) -> Database:
    return Database(engine, backups_of(engine, project, "postgres"))


def test_the_state_between_two_writes_comes_back(project: Project, database: Database) -> None:
    database.write("a")
    refused: list[str] = []
    ended = Event()

    def read() -> None:
        while not ended.wait(0.2):
            if not database.serves:
                refused.append("a query")

    reader = Thread(target=read)
    reader.start()
    try:
        database.backups.create(full=False)
        database.write("b")
        database.backups.mark("between")
        moment = database.sql("SELECT now()")
        database.write("c")
        assert "restore points: between" in database.backups.list()
        verified = database.backups.verify()
    finally:
        ended.set()
        reader.join()
    assert "Bad checksums:  0" in verified
    assert refused == []
    done = ops(project, "restore", "--to", moment)
    assert done.status == 0, done.output
    assert database.kept == ["a", "b"]
    database.write("d")
    done = ops(project, "restore", "--to", "between")
    assert done.status == 0, done.output
    assert database.kept == ["a", "b"]
    # The data before is kept until the next backup, which comes by itself.
    until(lambda: "replaced" not in database.inside('ls "${PGDATA%/*}"'), "a backup")


def test_a_target_that_cannot_be_reached_changes_nothing(database: Database) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(OpsError, match="recovery ended before configured recovery target"):
        database.backups.restore(tomorrow.isoformat())
    with pytest.raises(OpsError, match="there is no restore point nowhere"):
        database.backups.restore("nowhere")
    assert database.kept == ["a", "b"]
    assert "restor" not in database.inside('ls -d "$PGDATA"*')


def test_nothing_in_the_repository_can_be_read_without_the_passphrase(database: Database) -> None:
    database.write(SECRET)
    database.backups.create(full=False)
    assert SECRET in database.kept
    assert database.run(f"grep --recursive --quiet {SECRET} {REPOSITORY}")[0] == 1
    head = f"find {REPOSITORY} -type f -size +0 -exec bash -c 'head --bytes=8 $1; echo' - {{}} ';'"
    # OpenSSL's mark of an encrypted file.
    assert set(database.inside(head).splitlines()) == {"Salted__"}
    wrong = {"PGBACKREST_REPO1_CIPHER_PASS": "another"}
    _, output = database.run("pgbackrest info", **wrong)
    assert "FormatError" in output or "CryptoError" in output
    assert "full backup" not in output


@pytest.mark.fault(
    "a continuous backup of PostgreSQL is killed (SIGKILL)",
    holds="the next one succeeds, and the repository is intact",
)
def test_a_killed_backup_leaves_the_repository_usable(database: Database) -> None:
    killed = database.inside(f"""
        fulls() {{ ls -d {REPOSITORY}/backup/postgres/*F | wc -l; }}
        before=$(fulls)
        bash {backups.SCRIPT_FILE} create full > /dev/null 2>&1 &
        until [ "$(fulls)" -gt "$before" ]; do sleep 0.02; done
        for each in /proc/[0-9]*; do
            if grep --text --quiet ^pgbackrest $each/cmdline 2> /dev/null; then
                kill -KILL ${{each#/proc/}} && echo killed
            fi
        done
        wait
    """)
    assert "killed" in killed
    database.write("e")
    database.backups.create(full=False)
    assert "status: ok" in database.backups.list()
    verified = database.inside("pgbackrest --output=text --verbose verify")
    assert "status: ok" in verified
    assert verified.count("status: valid") == verified.count("backup: ")


def test_the_exporter_sees_the_tasks_and_a_failing_archive(database: Database) -> None:
    query = json.loads(postgres_backup.QUERIES)["postgres_backup"]["query"]
    rows = dict(line.split("|") for line in database.sql(query, "exporter").splitlines())
    now = float(database.sql("SELECT extract(epoch FROM now())"))
    assert set(rows) == {"full", "incr", "verify"}
    assert all(now - 600 < float(time) <= now for time in rows.values())

    def failures() -> int:
        return int(database.sql("SELECT failed_count FROM pg_stat_archiver", "exporter"))

    before = failures()
    database.inside(f"mv {REPOSITORY} {REPOSITORY}.away")
    try:
        database.write("f")
        database.sql("SELECT pg_switch_wal()", "postgres")
        until(lambda: failures() > before, "an archiving that fails is counted")
    finally:
        database.inside(f"rm -rf {REPOSITORY} && mv {REPOSITORY}.away {REPOSITORY}")


@pytest.mark.fault(
    "a restored cluster of PostgreSQL can't start",
    holds="PostgreSQL returns to the data before the restore",
)
def test_a_restored_cluster_that_cannot_start_is_put_aside(database: Database) -> None:
    expected = database.kept
    database.inside('mkdir "$PGDATA.restored" && touch "$PGDATA.restored/recovery.signal"')
    database.container.restart()
    until(lambda: database.serves and database.kept == expected, "the data is that before")
    assert "cluster.failed" in database.inside('ls -d "$PGDATA"*')


@pytest.mark.fault(
    "the data of a PostgreSQL with continuous backups is lost",
    holds="the next start restores the newest backup and all archived changes",
)
def test_lost_data_comes_back_by_itself(engine: Any, database: Database) -> None:
    expected = database.kept
    database.container.stop()
    output_of(
        engine,
        database.container.image.id,
        ["bash", "-c", "rm -rf /v/*"],
        entrypoint=[],
        network_mode="none",
        volumes={f"strata-{STACK}-postgres-data": {"bind": "/v"}},
    )
    database.container.start()
    until(lambda: database.serves and database.kept == expected, "the data is restored")


@pytest.fixture(scope="module")
def in_bucket(engine: Any, project: Project, database: Database, store: Store) -> Database:
    """The same database, whose backups are in a bucket from now on."""
    bucket = {
        "bucket": BUCKET,
        "region": REGION,
        "endpoint": store.endpoint,
        "accessKey": "backups-id",
        "secretKey": "backups-key",
        "authority": store.authority,
    }
    project.configure(
        {
            "system": "backed_up",
            "services": {"postgres": {"backup": {"s3": bucket}}},
            "secrets": {"backups-id": ACCESS_KEY, "backups-key": SECRET_KEY},
        }
    )
    expected = database.kept
    up = project.up()
    assert up.status == 0, up.output
    moved = connect(engine, project)
    assert moved.kept == expected
    # Those in the volume don't count.
    until(lambda: "full backup" in moved.backups.list(), "the first backup in the bucket")
    return moved


@pytest.mark.fault(
    "a host is lost, and the backups of PostgreSQL are in a bucket",
    holds="the first `up` on another one restores the newest backup and all archived changes",
)
def test_a_new_host_comes_back_from_the_bucket(
    engine: Any, project: Project, in_bucket: Database
) -> None:
    expected = in_bucket.kept
    in_bucket.backups.mark("before-the-loss")
    in_bucket.write("g")
    in_bucket.inside(f"bash {backups.SCRIPT_FILE} archive")
    assert SECRET_KEY not in json.dumps(in_bucket.container.attrs)
    destroyed = project.destroy()
    assert destroyed.status == 0, destroyed.output
    for name in ("data", "backups"):
        engine.volumes.get(f"strata-{STACK}-postgres-{name}").remove()
    up = project.up()
    assert up.status == 0, up.output
    restored = connect(engine, project)
    assert restored.kept == sorted([*expected, "g"])
    restored.backups.restore("before-the-loss")
    assert restored.kept == expected


@pytest.mark.fault(
    "the bucket of pgBackRest denies access",
    holds="PostgreSQL serves; without data, it doesn't start with an empty database",
)
def test_a_bucket_that_denies_access(engine: Any, project: Project, store: Store) -> None:
    database = connect(engine, project)

    def failures() -> int:
        return int(database.sql("SELECT failed_count FROM pg_stat_archiver", "exporter"))

    before = failures()
    store.access_key = "another"
    try:
        database.write("h")
        database.sql("SELECT pg_switch_wal()", "postgres")
        until(lambda: failures() > before, "an archiving that fails is counted")
        database.container.restart()
        until(lambda: database.serves and "h" in database.kept, "it serves without the bucket")
        with pytest.raises(OpsError, match="InvalidAccessKeyId"):
            database.backups.create(full=False)
        # A host without data doesn't start with an empty database.
        prepare = f"PGDATA=/tmp/none bash {backups.SCRIPT_FILE} prepare"
        status, output = database.run(prepare)
        assert status == 1
        assert "InvalidAccessKeyId" in output
        assert "there is no data, and the repository can't be read" in output
    finally:
        store.access_key = ACCESS_KEY
