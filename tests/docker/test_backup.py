"""Backup and restore: what was written comes back, and nothing else ever happens to it."""

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pika  # type: ignore[import-untyped]
import pytest

from strata.errors import OpsError
from strata.ops import content
from strata.ops.encryption import BackupKey, of_seed
from strata.ops.running_stack import engine_of
from tests.docker import stores
from tests.docker.conftest import containers, free_port, output_of, remove
from tests.docker.operations import ops, start
from tests.project import REPOSITORY, TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-backup"
QUEUE = "kept"
SERVICES = ("keeper", "postgres", "rabbitmq", "redis")


def inside(engine: Any, service: str, script: str) -> str:
    """What a script prints that runs in a container of the stack."""
    status, output = containers(engine, STACK)[service].exec_run(["bash", "-euc", script])
    text = str(output.decode().strip())
    assert status == 0, text
    return text


def sql(engine: Any, statement: str) -> str:
    return inside(engine, "postgres", stores.sql(statement))


def redis(engine: Any, order: str) -> str:
    return inside(engine, "redis", stores.redis(order))


def in_volume(engine: Any, script: str, *, change: bool = False) -> str:
    """What a script prints that runs as root in the volume of the keeper."""
    return output_of(
        engine,
        containers(engine, STACK)["keeper"].attrs["Image"],
        ["bash", "-euc", script],
        entrypoint=[],
        user="0:0",
        network_mode="none",
        working_dir="/v",
        volumes={f"strata-{STACK}-keeper-files": {"bind": "/v", "mode": "rw" if change else "ro"}},
    )


def write(engine: Any) -> None:
    """Puts something into each volume: rows, keys, a persistent message, and odd files."""
    sql(
        engine,
        "CREATE TABLE kept AS"
        " SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) AS n;"
        " CREATE INDEX ON kept (text)",
    )
    redis(engine, "eval \"for n = 1, 1000 do redis.call('set', 'key' .. n, n * n) end\" 0")
    with stores.broker(containers(engine, STACK)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(QUEUE, durable=True)
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        channel.basic_publish("", QUEUE, b"a message", persistent)
    in_volume(
        engine,
        """
        mkdir -p 'a folder' secret empty
        echo one > 'a folder/ünïcode "quoted"'
        printf 'x\\n' > $'a folder/line\\nbreak'
        ln 'a folder/ünïcode "quoted"' hard
        ln -s /nowhere dangling
        ln -s 'a folder' near
        head -c 3000000 /dev/urandom > secret/large
        : > secret/none
        mkfifo pipe
        chmod 4750 hard; chmod 0000 secret/none; chmod 0700 secret; chmod 1777 empty
        chown 4242:4343 secret/large; chown -R 10001:10001 'a folder'; chown -h 7:8 dangling
        touch -d 2001-01-01 secret/large
        chown 10001:10001 .; chmod 2750 .
        """,
        change=True,
    )


def held(engine: Any) -> dict[str, str]:
    """What the stack holds, as its engines tell it and as the files of the volume are."""
    with stores.broker(containers(engine, STACK)) as connection:
        channel = connection.channel()
        frame, _, message = channel.basic_get(QUEUE)
        assert frame is not None
        channel.basic_nack(frame.delivery_tag, requeue=True)
    return {
        "rows": sql(
            engine, "SELECT count(*), md5(string_agg(n || text, ',' ORDER BY n)) FROM kept"
        ),
        "key": redis(engine, "get key77"),
        "keys": redis(engine, "dbsize"),
        "message": message.decode(),
        "files": in_volume(
            engine,
            """
            find . -printf '%p %y %m %U %G %n %l\\0' | sort -z | tr '\\0' '\\n'
            find . -type f -printf '%TY %s %p\\0' | sort -z | tr '\\0' '\\n'
            find . -type f -print0 | sort -z | xargs -0 sha256sum
            """,
        ),
    }


def started(engine: Any) -> dict[str, str]:
    found = containers(engine, STACK)
    return {name: one.attrs["State"]["StartedAt"] for name, one in found.items()}


def assert_all_healthy(engine: Any) -> None:
    def unhealthy() -> list[str]:
        found = containers(engine, STACK)
        return [
            name
            for name in SERVICES
            if name not in found or found[name].attrs["State"]["Health"]["Status"] != "healthy"
        ]

    until(lambda: not unhealthy(), "all services are healthy", 60)


def assert_no_helper(engine: Any) -> None:
    label = {"label": [f"strata.stack={STACK}", "strata.kind=backup"]}
    assert engine.containers.list(all=True, filters=label) == []


@pytest.fixture(scope="module")
def stack(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    remove(engine, STACK)
    project = Project(
        tmp_path_factory.mktemp("backup") / "project",
        STACK,
        {"system": "datastores", "ports": {"http": free_port(), "https": free_port()}},
        systems=TEST_SYSTEMS,
    )
    up = project.up()
    assert up.status == 0, up.output
    yield project
    project.run("cancel", "--yes")
    project.destroy()
    remove(engine, STACK)


@pytest.fixture(scope="module")
def written(engine: Any, stack: Project) -> dict[str, str]:
    write(engine)
    return held(engine)


@pytest.fixture(scope="module")
def backup(
    engine: Any, stack: Project, written: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A backup of what was written."""
    folder = tmp_path_factory.mktemp("backups") / "first"
    done = ops(stack, "backup", str(folder))
    assert done.status == 0, done.output
    assert "backup of pytest-backup: 4 volumes" in done.output
    assert_all_healthy(engine)
    assert held(engine) == written
    return folder


def contents(folder: Path) -> dict[str, str]:
    """The digest of each volume, by service."""
    plain = json.loads((folder / "manifest.json").read_text())
    return {one["service"]: one["content"]["sha256"] for one in plain["archives"]}


def test_a_backup_says_what_it_is(backup: Path) -> None:
    assert {one.name for one in backup.iterdir()} == {
        "manifest.json",
        "keeper.files.tar.gz.age",
        "postgres.data.tar.gz.age",
        "rabbitmq.data.tar.gz.age",
        "redis.data.tar.gz.age",
    }
    assert backup.stat().st_mode & 0o777 == 0o700
    plain = json.loads((backup / "manifest.json").read_text())
    for one in plain["archives"]:
        whole = (backup / one["file"]).read_bytes()
        assert one["bytes"] == len(whole)
        assert one["sha256"] == hashlib.sha256(whole).hexdigest()
        assert engine_of(one["image"]) == one["engine"]


def test_a_backup_tells_nothing_without_its_key(
    stack: Project, backup: Path, tmp_path: Path
) -> None:
    archives = [one for one in backup.iterdir() if one.name != "manifest.json"]
    for one in archives:
        assert one.read_bytes().startswith(b"age-encryption.org/v1\n")
    keeper = backup / "keeper.files.tar.gz.age"
    with tarfile.open(fileobj=io.BytesIO(b"".join(key_of(stack).decrypted(keeper)))) as archive:
        assert "strata-backup/secret/large" in archive.getnames()
    with pytest.raises(OpsError, match="can't be decrypted"):
        list(of_seed(b"another seed of 32 bytes and more").decrypted(keeper))
    wrong = tmp_path / "key"
    wrong.write_text(of_seed(b"another seed of 32 bytes and more").private)
    refused = ops(stack, "restore", str(backup), "--key", str(wrong))
    assert refused.status == 1
    assert "was encrypted with another seed" in refused.output
    assert "nothing was changed" in refused.output


def test_a_backup_is_restored_into_a_fresh_stack(
    engine: Any, stack: Project, written: dict[str, str], backup: Path, tmp_path: Path
) -> None:
    destroyed = stack.destroy()
    assert destroyed.status == 0, destroyed.output
    # The data stays; a fresh stack has none.
    kept = engine.volumes.list(filters={"label": f"strata.stack={STACK}"})
    assert len(kept) == len(SERVICES)
    for volume in kept:
        assert "strata.backup" in volume.attrs["Labels"]
        volume.remove()
    refused = ops(stack, "restore", str(backup))
    assert refused.status == 1
    assert "has no volume with data" in refused.output
    assert "pulumi up" in refused.output

    # Other passwords than those that were backed up: the engines take them as they start.
    rotated = {"postgres": 2, "redis": 2, "rabbitmq": 2}
    stack.configure({**stack.settings, "secretGenerations": rotated})
    up = stack.up()
    assert up.status == 0, up.output
    assert sql(engine, "SELECT to_regclass('kept') IS NULL") == "t"

    restored = ops(stack, "restore", str(backup))
    assert restored.status == 0, restored.output
    assert "restored 4 volumes of pytest-backup" in restored.output
    assert_all_healthy(engine)
    assert held(engine) == written
    assert_no_helper(engine)

    again = stack.up()
    assert again.status == 0, again.output
    for word in ("created", "updated", "replaced", "deleted"):
        assert word not in again.output, again.output
    # Nobody writes to the volume of the keeper: it is the same to the last bit.
    second = tmp_path / "second"
    done = ops(stack, "backup", str(second))
    assert done.status == 0, done.output
    assert contents(second)["keeper"] == contents(backup)["keeper"]


def _flip(folder: Path) -> None:
    path = folder / "postgres.data.tar.gz.age"
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def _cut(folder: Path) -> None:
    path = folder / "redis.data.tar.gz.age"
    path.write_bytes(path.read_bytes()[:-1])


def _swap(folder: Path) -> None:
    """Takes the archive of one engine for that of another."""
    path = folder / "manifest.json"
    plain = json.loads(path.read_text())
    by_service = {one["service"]: one for one in plain["archives"]}
    by_service["redis"]["engine"] = "rabbitmq"
    path.write_text(json.dumps(plain))


def _encrypt(folder: Path) -> None:
    """Names another recipient."""
    path = folder / "manifest.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "recipient": of_seed(b"another seed of 32 bytes").public}))


def _rename(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"service": "redis"', '"service": "cache"'))


@pytest.mark.fault(
    "a backup is tampered with or incomplete",
    holds="`strata restore` rejects it, and changes nothing",
)
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "No such file or directory"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "field required"),
        (
            lambda folder: (folder / "rabbitmq.data.tar.gz.age").unlink(),
            "No such file or directory",
        ),
        (_cut, "bytes, not the"),
        (_flip, "its SHA-256 is not that of the manifest"),
        (_swap, "the backup is of rabbitmq, the stack runs redis"),
        (_encrypt, "was encrypted with another seed"),
        (_rename, "service cache: the stack has no such service with a volume data"),
    ],
)
def test_a_bad_backup_is_refused_before_anything_changes(
    engine: Any,
    stack: Project,
    backup: Path,
    tmp_path: Path,
    harm: Callable[[Path], object],
    said: str,
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(backup, bad)
    harm(bad)
    before = started(engine)
    refused = ops(stack, "restore", str(bad))
    assert refused.status == 1, refused.output
    assert "nothing was changed" in refused.output
    assert said in refused.output
    assert "Traceback" not in refused.output
    assert started(engine) == before


def test_a_backup_never_replaces_another(engine: Any, stack: Project, backup: Path) -> None:
    before = (started(engine), contents(backup))
    refused = ops(stack, "backup", str(backup))
    assert refused.status == 1
    assert f"{backup}: is not empty" in refused.output
    assert (started(engine), contents(backup)) == before


def test_a_stack_that_is_not_there_is_refused(stack: Project, tmp_path: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "strata", "backup", str(tmp_path / "b"), "--stack", "nobody"],
        cwd=stack.folder,
        env={**stack.environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "stack nobody: no stack named 'nobody' found" in process.stderr
    assert not (tmp_path / "b").exists()


def test_the_volumes_of_another_checkout_are_left_alone(
    engine: Any, stack: Project, backup: Path, tmp_path: Path
) -> None:
    seed = tmp_path / "seed"
    seed.write_text("f" * 64)
    before = started(engine)
    stack.environment["STRATA_SEED_FILE"], own = str(seed), stack.environment["STRATA_SEED_FILE"]
    try:
        refused = ops(stack, "restore", str(backup))
    finally:
        stack.environment["STRATA_SEED_FILE"] = own
    assert refused.status == 1
    assert "belongs to another checkout" in refused.output
    assert started(engine) == before


@pytest.mark.fault(
    "`strata backup` is killed (SIGKILL)",
    holds="no manifest, so no backup; `up` starts the services",
)
def test_a_backup_that_is_killed_leaves_no_manifest(
    engine: Any, stack: Project, written: dict[str, str], backup: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    process = start(stack, "backup", str(killed))
    until((killed / "postgres.data.tar.gz.age.partial").exists, "PostgreSQL's archive is written")
    process.kill()
    process.communicate()
    assert not (killed / "manifest.json").exists()
    refused = ops(stack, "restore", str(killed))
    assert refused.status == 1
    assert "a failed one has no manifest" in refused.output

    # What it had stopped, the next update starts.
    up = stack.up()
    assert up.status == 0, up.output
    assert_all_healthy(engine)
    assert held(engine) == written
    done = ops(stack, "backup", str(tmp_path / "next"))
    assert done.status == 0, done.output
    assert contents(tmp_path / "next")["keeper"] == contents(backup)["keeper"]
    assert_no_helper(engine)


@pytest.mark.fault(
    "`strata backup` is interrupted (SIGINT, SIGTERM)",
    holds="the services run, and the files are deleted",
)
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_backup_that_is_interrupted_starts_the_services_again(
    engine: Any, stack: Project, written: dict[str, str], tmp_path: Path, told: signal.Signals
) -> None:
    folder = tmp_path / "interrupted"
    process = start(stack, "backup", str(folder))
    until((folder / "postgres.data.tar.gz.age.partial").exists, "PostgreSQL's archive is written")
    process.send_signal(told)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 130, output
    assert "there is no backup; all services run again" in output
    assert list(folder.iterdir()) == []
    assert_all_healthy(engine)
    assert held(engine) == written
    assert_no_helper(engine)


@pytest.mark.fault(
    "the disk for a backup is full",
    holds="an error, no backup, and the services run",
)
def test_a_disk_that_is_full_leaves_no_backup(
    engine: Any, stack: Project, written: dict[str, str], tmp_path: Path
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(full)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    try:
        failed = ops(stack, "backup", str(full))
        assert failed.status == 1
        assert "No space left on device" in failed.output
        assert "there is no backup; all services run again" in failed.output
        assert list(full.iterdir()) == []
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert_all_healthy(engine)
    assert held(engine) == written


def key_of(stack: Project) -> BackupKey:
    """What the command prints."""
    printed = ops(stack, "backup-key")
    assert printed.status == 0, printed.output
    return BackupKey(printed.output)


def _spoil(
    folder: Path,
    service: str,
    key: BackupKey,
    change: Callable[[tarfile.TarInfo, bytes], bytes],
) -> None:
    """Changes the files in an archive, and the manifest so that it agrees."""
    path = next(folder.glob(f"{service}.*.tar.gz.age"))
    plaintext = io.BytesIO(b"".join(key.decrypted(path)))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=plaintext) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for member in old:
            file = old.extractfile(member) if member.isreg() else None
            data = change(member, file.read()) if file else b""
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    with path.open("wb") as file, key.encrypting(file) as plain:
        plain.write(gzip.compress(buffer.getvalue()))
    listed = json.loads((folder / "manifest.json").read_text())
    for one in listed["archives"]:
        if one["service"] == service:
            one["bytes"] = path.stat().st_size
            one["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            one["content"] = content.read([buffer.getvalue()]).model_dump()
    (folder / "manifest.json").write_text(json.dumps(listed))


def test_a_restore_that_starts_no_healthy_service_puts_everything_back(
    engine: Any, stack: Project, written: dict[str, str], backup: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(backup, bad)
    _spoil(
        bad,
        "redis",
        key_of(stack),
        lambda member, data: b"?" * len(data) if "aof" in member.name else data,
    )
    sql(engine, "CREATE TABLE newer AS SELECT 1 AS n")
    failed = ops(stack, "restore", str(bad))
    assert failed.status == 1, failed.output
    assert f"strata-{STACK}-redis-1" in failed.output
    assert "nothing was restored: every volume is as it was before" in failed.output
    assert_all_healthy(engine)
    assert held(engine) == written
    assert sql(engine, "SELECT n FROM newer") == "1"
    sql(engine, "DROP TABLE newer")
    assert_no_helper(engine)


def test_what_is_unpacked_is_compared(
    engine: Any, stack: Project, written: dict[str, str], backup: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad"
    shutil.copytree(backup, bad)
    path = bad / "manifest.json"
    path.write_text(path.read_text().replace(contents(bad)["postgres"], "0" * 64))
    failed = ops(stack, "restore", str(bad))
    assert failed.status == 1, failed.output
    assert "is not what was backed up" in failed.output
    assert "nothing was restored: every volume is as it was before" in failed.output
    assert_all_healthy(engine)
    assert held(engine) == written


@pytest.mark.fault(
    "`strata restore` is killed (SIGKILL) at a step",
    holds="the next `strata restore` completes it",
)
@pytest.mark.parametrize(
    "line",
    [
        "✓ Stopping redis",
        "✓ Unpacking strata-pytest-backup-postgres-data",
        "✓ Comparing strata-pytest-backup-redis-data",
    ],
)
def test_a_restore_that_is_killed_is_repaired_by_the_next(
    engine: Any, stack: Project, written: dict[str, str], backup: Path, line: str
) -> None:
    process = start(stack, "restore", str(backup))
    assert process.stdout is not None
    for said in process.stdout:
        if line in said:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    restored = ops(stack, "restore", str(backup))
    assert restored.status == 0, restored.output
    assert_all_healthy(engine)
    assert held(engine) == written
    left = in_volume(engine, "ls -A")
    assert "strata-" not in left
    assert_no_helper(engine)


def test_two_at_once_are_refused(stack: Project, backup: Path, tmp_path: Path) -> None:
    first = start(stack, "backup", str(tmp_path / "one"))
    until((tmp_path / "one").exists, "the first is at work")
    second = ops(stack, "restore", str(backup))
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0, output
    assert second.status == 1
    assert "another backup or restore of this stack is running" in second.output


def test_a_cluster_whose_application_was_the_superuser_is_migrated(
    engine: Any, stack: Project
) -> None:
    """As versions before had it. Its data stays, and the application loses its rights."""
    assert stack.stack == STACK
    container = containers(engine, STACK)["postgres"]
    container.stop()
    output_of(
        engine,
        container.attrs["Image"],
        [
            "bash",
            "-euc",
            """
            rm -rf /v/*
            initdb -D /v/cluster --username=strata --auth=trust > /dev/null
            pg_ctl -D /v/cluster -o "-c listen_addresses=" --silent --wait start > /dev/null
            export PGUSER=strata
            createdb strata
            psql --quiet <<'END'
            CREATE EXTENSION vector;
            CREATE TABLE kept (n int GENERATED ALWAYS AS IDENTITY, at vector(2));
            INSERT INTO kept (at) SELECT '[1,2]' FROM generate_series(1, 1000);
            CREATE VIEW seen AS SELECT count(*) AS n FROM kept;
END
            pg_ctl -D /v/cluster --silent --wait stop > /dev/null
            echo 'of a password' > /v/password-digest
            """,
        ],
        user="999:999",
        network_mode="none",
        volumes={f"strata-{STACK}-postgres-data": {"bind": "/v", "mode": "rw"}},
    )
    container.start()
    assert_all_healthy(engine)
    assert sql(engine, "INSERT INTO kept (at) VALUES ('[3,4]'); SELECT n FROM seen") == "1001"
    assert sql(engine, "ALTER TABLE kept ADD more text; ALTER VIEW seen RENAME TO looked") == ""
    superusers = "SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolsuper"
    assert sql(engine, superusers) == "postgres"
