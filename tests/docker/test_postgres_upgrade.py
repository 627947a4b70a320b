"""PostgreSQL moves to another major version with its data, and back, and loses nothing on the way."""

import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strata.components.engines.backups import SCRIPT_FILE as BACKUPS_FILE
from strata.components.engines.postgres import UPGRADE_FILE
from strata.images.choose import choose
from strata.images.source import resolve
from strata.model import Secret
from tests.docker import images, stores
from tests.docker.conftest import running
from tests.docker.mutual_tls import secrets_of
from tests.docker.operations import ops, start
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-upgrade"
CONTAINER = f"strata-{STACK}-postgres-1"

# The package has PostgreSQL 16 and pgvector, without TLS, and its socket is in /tmp.
PACKAGE = """\
pgserver==0.1.4 --hash=sha256:1a5d07c61d51f2abfef4ef61e2ef5cd014b994f7e09de8d3c140d2cf370e84a8
"""
OLD = """\
FROM {parent}
COPY --chmod=755 pgserver /opt/pgserver
COPY pgserver.libs /opt/pgserver.libs
COPY --chmod=755 postgres /usr/local/bin/
ENV PATH=/usr/local/bin:/opt/pgserver/pginstall/bin:/usr/bin:/bin
"""
SERVER = """\
#!/bin/bash
arguments=()
while [ $# -gt 0 ]; do
    case "$1 ${2:-}" in
        '-c ssl'*) shift 2 ;;
        *) arguments+=("$1") && shift ;;
    esac
done
[ "${arguments[0]:-}" != -c ] || arguments+=(-c unix_socket_directories=/tmp,/var/run/postgresql)
exec /opt/pgserver/pginstall/bin/postgres "${arguments[@]}"
"""

# `own` rejects the superuser: none of the application's functions may run as this role.
DATA = """
CREATE FUNCTION own(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
    IF session_user = 'postgres' AND current_setting('application_name') <> 'test' THEN
        RAISE EXCEPTION 'this is the superuser';
    END IF;
    RETURN true;
END $$;
CREATE DOMAIN positive AS int CHECK (public.own(VALUE) AND VALUE > 0);
CREATE TABLE items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number positive, embedding vector(3));
INSERT INTO items (number, embedding) SELECT n, ARRAY[n, 1, 2]::vector FROM generate_series(1, 500) AS n;
CREATE INDEX ON items USING hnsw (embedding vector_l2_ops);
CREATE FUNCTION first(positive, int) RETURNS positive LANGUAGE sql AS 'SELECT $1';
CREATE AGGREGATE firsts (int) (SFUNC = first, STYPE = positive, INITCOND = '1');
CREATE SEQUENCE tickets START 4711;
CREATE TABLE large AS SELECT n, md5(n::text) AS text FROM generate_series(1, 100000) AS n;
CREATE INDEX ON large (text);
CREATE TABLE halves (number positive) PARTITION BY RANGE (number);
CREATE TABLE half PARTITION OF halves FOR VALUES FROM (1) TO (10);
INSERT INTO halves VALUES (1), (9);
ALTER ROLE strata SET statement_timeout = '50s';
ALTER DATABASE strata SET timezone = 'Europe/Berlin';
RESET ROLE;
CREATE ROLE readers;
GRANT SELECT ON items TO readers;
"""
FINGERPRINT = """
SELECT count(*), sum(n), md5(string_agg(text, '' ORDER BY n)) FROM large;
SELECT count(*), sum(number), sum(embedding), max(id) FROM items;
SELECT count(*), sum(number) FROM halves;
SELECT last_value, is_called FROM tickets;
SELECT setting FROM pg_settings WHERE name = 'TimeZone';
SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolcanlogin, rolconfig FROM pg_roles WHERE oid >= 16384
    ORDER BY rolname;
SELECT datname, datdba::regrole FROM pg_database ORDER BY datname;
SELECT has_table_privilege('readers', 'items', 'SELECT'), has_table_privilege('readers', 'items', 'UPDATE');
SELECT oid::regclass, relowner::regrole FROM pg_class
    WHERE relnamespace = 'public'::regnamespace ORDER BY relname;
SELECT proname, proowner::regrole FROM pg_proc WHERE proname IN ('own', 'first', 'firsts') ORDER BY proname;
"""


class Database:
    """The database, in the container that it has now."""

    def __init__(self, engine: Any, name: str = CONTAINER) -> None:
        self.container = engine.containers.get(name)

    def run(self, script: str) -> tuple[int, str]:
        status, output = self.container.exec_run(["bash", "-c", script])
        return int(status), output.decode(errors="replace").strip()

    def inside(self, script: str) -> str:
        status, output = self.run(script)
        assert status == 0, output
        return output

    def sql(self, statement: str, role: str = "strata") -> str:
        return self.inside(
            f"PGAPPNAME=test {stores.sql(statement.replace('$', chr(92) + '$'), role)}"
        )

    def upgrade(self, command: str) -> tuple[int, str]:
        return self.run(f"bash {UPGRADE_FILE} {command}")

    @property
    def fingerprint(self) -> str:
        return self.sql(FINGERPRINT, "postgres")

    @property
    def clusters(self) -> list[str]:
        """The folders beside the cluster."""
        return self.inside('cd "$PGDATA/.." && ls -d cluster?*').split()

    def logs_in(self, password: str) -> bool:
        """Whether the application does."""
        insert = "INSERT INTO halves VALUES (2)"
        status, output = self.run(f'{client(password)} --command="{insert}"')
        assert status == 0 or 'role "strata" is not permitted to log in' in output, output
        return status == 0

    @property
    def serves(self) -> bool:
        return self.run("psql --dbname=strata --command='SELECT 1'")[0] == 0


def client(password: str) -> str:
    """The client of the application, in the container."""
    return f"PGPASSWORD={password} psql 'host=127.0.0.1 dbname=strata user=strata sslmode=require'"


@pytest.fixture(scope="module")
def old_image(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an image like the project's, with PostgreSQL 16."""
    folder = tmp_path_factory.mktemp("image") / "pytest-postgres-16"
    folder.mkdir()
    source = choose()[0]
    images.ensure(engine, "postgres-backup")
    parent = resolve("postgres-backup", source)
    (folder / "Dockerfile").write_text(OLD.format(parent=parent))
    (folder / "requirements.txt").write_text(PACKAGE)
    download = (
        *(
            "pip",
            "--disable-pip-version-check",
            "download",
            "--quiet",
            "--require-hashes",
            "--no-deps",
            "--only-binary=:all:",
        ),
        *("--python-version=3.12", "--platform=manylinux2014_x86_64", f"--dest={folder.parent}"),
        f"--requirement={folder / 'requirements.txt'}",
    )
    subprocess.run([sys.executable, "-m", *download], check=True)
    (wheel,) = folder.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (folder / "postgres").write_text(SERVER)
    yield folder
    for image in engine.images.list(name=f"strata/{folder.name}"):
        engine.images.remove(image.id, force=True)


def settings(image: Path | None) -> dict[str, Any]:
    postgres = {"backup": {}, **({"image": str(image)} if image else {})}
    return {"system": "backed_up", "services": {"postgres": postgres}}


@pytest.fixture(scope="module")
def project(
    engine: Any, old_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("upgrade") / "project"
    project = Project(folder, STACK, settings(old_image), systems=TEST_SYSTEMS)
    with running(engine, project):
        Database(engine).sql(DATA)
        Database(engine).sql("CREATE DATABASE elsewhere", "postgres")
        yield project


def test_a_new_version_rejects_data_without_a_dump(
    engine: Any, project: Project, old_image: Path
) -> None:
    before = Database(engine).fingerprint
    project.configure(settings(None))
    up = project.up()
    assert up.status != 0
    assert "the data is of PostgreSQL 16, and this image has PostgreSQL 17" in up.output
    assert "run `strata upgrade prepare`, and update again" in up.output
    project.configure(settings(old_image))
    up = project.up()
    assert up.status == 0, up.output
    assert Database(engine).fingerprint == before


@pytest.mark.fault(
    "the load of a dump into a new version of PostgreSQL is killed (SIGKILL)",
    holds="the next start begins it again, and nothing is lost",
)
def test_a_new_version_has_the_data_of_a_dump(engine: Any, project: Project) -> None:
    old = Database(engine)
    before = old.fingerprint
    until(lambda: "full backup" in old.inside("pgbackrest info"), "the first backup")
    # pgBackRest compares whole seconds.
    moment = old.sql("SELECT clock_timestamp() FROM pg_sleep(1.1)")
    prepared = ops(project, "upgrade", "prepare")
    assert prepared.status == 0, prepared.output
    assert "the dump of PostgreSQL 16 is complete" in prepared.output
    project.configure(settings(None))
    with project.start("up", "--yes", "--skip-preview") as up:
        # Docker restarts the container.
        until(lambda: load_is_killed(engine), "the load is killed")
        output, _ = up.communicate(timeout=300)
    assert up.returncode == 0, output
    new = Database(engine)
    assert "the load before was interrupted" in new.container.logs().decode()
    assert new.inside("postgres --version").startswith("postgres (PostgreSQL) 17")
    assert new.fingerprint == before
    assert new.sql("SELECT id FROM items ORDER BY embedding <-> '[7,1,2]' LIMIT 1") == "7"
    assert new.clusters == ["cluster.previous"]
    until(lambda: new.inside("pgbackrest info").count("full backup") == 2, "a backup of 17")
    status, output = new.run(f"bash {BACKUPS_FILE} restore time '{moment}'")
    assert (status, "database files are incompatible with server" in output) == (1, True), output
    assert new.serves


def load_is_killed(engine: Any) -> bool:
    """Kills every other process of the container if it loads the dump."""
    from docker.errors import DockerException

    script = "grep -q --text pg_restor[e] /proc/[0-9]*/cmdline && echo killed && kill -KILL -1"
    try:
        # By its output: the container before the update ends scripts, too.
        return "killed" in Database(engine).run(script)[1]
    except DockerException:  # It doesn't exist yet, or restarts.
        return False


@contextmanager
def in_place(engine: Any, image: str) -> Iterator[Database]:
    """The database, stopped, runs in a container of another image meanwhile."""
    own = engine.containers.get(CONTAINER)
    configuration = own.attrs["Config"]
    own.stop()
    other = engine.containers.run(
        image,
        ["listen_addresses=" if "listen" in word else word for word in configuration["Cmd"]],
        environment=[each for each in configuration["Env"] if not each.startswith("PATH=")],
        user=configuration["User"],
        volumes_from=[own.id],
        tmpfs={"/tmp": "", "/var/run/postgresql": "uid=999"},
        network_mode="none",
        detach=True,
    )
    try:
        yield Database(engine, other.id)
    finally:
        other.stop()
        other.remove(v=True)
        own.start()


def test_the_earlier_version_returns_to_its_data(engine: Any, project: Project) -> None:
    new = Database(engine)
    new.sql("INSERT INTO halves VALUES (5)")
    later = new.fingerprint
    (old,) = engine.images.list(name="strata/pytest-postgres-16")
    with in_place(engine, old.id) as rejected:
        assert rejected.container.wait()["StatusCode"] == 1
        assert "run `strata upgrade revert`" in rejected.container.logs().decode()
    until(lambda: new.serves, "17 serves")
    reverted = ops(project, "upgrade", "revert")
    assert reverted.status == 0, reverted.output
    with in_place(engine, old.id) as earlier:
        until(lambda: earlier.serves, "16 serves")
        assert earlier.sql("SELECT count(*) FROM halves") == "2"
        assert earlier.clusters == ["cluster.previous"]
        assert earlier.upgrade("revert")[0] == 0
    until(lambda: new.serves, "17 serves")
    assert new.fingerprint == later
    new.inside("pgbackrest check")


def test_the_earlier_data_is_kept_until_it_is_confirmed(engine: Any, project: Project) -> None:
    database = Database(engine)
    status, output = database.upgrade("prepare")
    assert (status, "data of PostgreSQL 16 is still kept" in output) == (1, True)
    confirmed = ops(project, "upgrade", "confirm")
    assert confirmed.status == 0, confirmed.output
    assert database.run('ls -d "$PGDATA".*')[0] != 0


def test_the_application_is_shut_out_until_it_is_canceled(engine: Any, project: Project) -> None:
    database = Database(engine)
    password = secrets_of(project).encode(Secret("postgres"))
    assert database.logs_in(password)
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'strata'"
    output = database.inside(f"""
        {client(password)} --command='SELECT pg_sleep(600)' & session=$!
        until [ "$(psql -At --command="{sessions}")" = 1 ]; do sleep 0.1; done
        bash {UPGRADE_FILE} prepare
        wait $session && echo 'the session goes on'
        true
    """)
    assert "terminating connection due to administrator command" in output
    assert "the session goes on" not in output
    database.container.restart()
    until(lambda: database.serves, "a restart")
    assert not database.logs_in(password)
    status, output = database.run(f"bash {BACKUPS_FILE} restore time now")
    assert (status, "cancel it first" in output) == (1, True)
    canceled = ops(project, "upgrade", "cancel")
    assert canceled.status == 0, canceled.output
    assert database.logs_in(password)
    assert database.run('ls -d "$PGDATA".*')[0] != 0


def test_a_dump_that_is_interrupted_is_undone(engine: Any, project: Project) -> None:
    database = Database(engine)
    lock = "BEGIN; LOCK TABLE public.large IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)"
    database.container.exec_run(["psql", "--dbname=strata", f"--command={lock}"], detach=True)
    with start(project, "upgrade", "prepare") as prepare:
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        until(lambda: database.sql(waiting, "postgres") != "0", "the dump waits for the lock")
        prepare.send_signal(signal.SIGINT)
        output, _ = prepare.communicate(timeout=60)
    assert prepare.returncode != 0
    assert "can log in again" in output
    assert database.run('ls -d "$PGDATA".*')[0] != 0
    assert (
        database.sql("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'strata'", "postgres") == "t"
    )
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'"
        " AND pid <> pg_backend_pid()",
        "postgres",
    )
