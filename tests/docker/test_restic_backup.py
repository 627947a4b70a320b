"""Continuous backups by restic: the state of a backup comes back, and what may go wrong."""

import json
import re
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest

from strata.components.engines import restic_backup
from strata.components.engines.backups import SCRIPT_FILE
from strata.errors import OpsError
from tests.docker.conftest import bridge_address, output_of, running
from tests.docker.kept import ENGINES, STACK, SYSTEM, Kept, datastore
from tests.docker.operations import ops
from tests.docker.s3_server import BUCKET, REGION, Store, s3
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

REPOSITORY = f"{restic_backup.FOLDER}/repository"
ACCESS_KEY = "AKIAOFTHISTEST"
SECRET_KEY = "the-secret-access-key-of-this-test"
SECRET = "written-in-plain-text"


@pytest.fixture(scope="module")
def store(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    with s3(folder, bridge_address(engine), "redis-bucket", ACCESS_KEY) as store:
        yield store


def settings(**backup: Any) -> dict[str, Any]:
    changes = {"backup": backup, "cpu": 2, "cpuReserved": 0.25}
    return {"system": SYSTEM, "services": dict.fromkeys(ENGINES, changes)}


@pytest.fixture(scope="module")
def project(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("restic") / "project"
    project = Project(folder, STACK, settings(), systems=TEST_SYSTEMS)
    with running(engine, project):
        yield project


@pytest.fixture(scope="module", params=ENGINES)
def kept(engine: Any, project: Project, request: pytest.FixtureRequest) -> Kept:
    kept = datastore(engine, project, request.param)
    until(lambda: "full" in kept.metrics, "the first backup is made by itself")
    return kept


@pytest.fixture(scope="module")
def redis(engine: Any, project: Project) -> Kept:
    kept = Kept(engine, project, "redis")
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
            if kept.run(kept.case.ingest)[0] != 0:
                refused.append("a write")

    reader = Thread(target=read)
    reader.start()
    try:
        kept.backups.create(full=True)
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
    # Which backup it was.
    assert re.search(r"^[0-9a-f]{8} .* between ", done.output, re.MULTILINE)
    assert kept.kept == ["a", "b"]


def test_the_state_at_a_time_comes_back(project: Project, redis: Kept) -> None:
    before = redis.kept
    redis.backups.create(full=False)
    moment = redis.inside("sleep 1; date --utc --iso-8601=seconds")
    redis.write("d")
    redis.backups.create(full=False)
    done = ops(project, "restore", "--service", "redis", "--to", moment)
    assert done.status == 0, done.output
    assert redis.kept == before
    # The data before is kept until the next backup, which comes by itself.
    until(lambda: ".replaced" not in redis.inside("ls -A /data"), "a backup")
    redis.container.restart()
    until(lambda: redis.serves and redis.kept == before, "the data is the same after a restart")


def test_the_checkpoint_of_a_killed_backup_is_released(engine: Any, project: Project) -> None:
    questdb = Kept(engine, project, "questdb")
    until(lambda: "full" in questdb.metrics, "the first backup is made by itself")
    sql = f"source {restic_backup.ENGINE_FILE}; sql 9000"
    questdb.inside(f"{sql} exec 'CHECKPOINT CREATE'")
    status = f"{sql} exp 'checkpoint_status()'"
    assert questdb.inside(status).startswith("true,")
    questdb.backups.create(full=False)
    assert questdb.inside(status).startswith("false,")


def test_the_snapshot_of_a_killed_backup_is_removed(engine: Any, project: Project) -> None:
    opensearch = Kept(engine, project, "opensearch")
    until(lambda: "full" in opensearch.metrics, "the first backup is made by itself")
    request = f"source {restic_backup.ENGINE_FILE}; request 9200"
    location = f"{restic_backup.FOLDER}/opensearch"
    left = json.dumps({"type": "fs", "settings": {"location": location}})
    opensearch.inside(f"{request} PUT $REPOSITORY '{left}' && request 9200 PUT $SNAPSHOT")
    opensearch.backups.create(full=False)
    assert opensearch.inside(f"{request} GET /_snapshot") == "{}"


def test_a_target_that_does_not_exist_changes_nothing(redis: Kept) -> None:
    before = redis.kept
    with pytest.raises(OpsError, match="there is no backup named nowhere"):
        redis.backups.restore("nowhere")
    with pytest.raises(OpsError, match="there is no backup from 2020-01-01 00:00:00 or before"):
        redis.backups.restore("2020-01-01")
    assert redis.kept == before
    assert ".re" not in redis.inside("ls -A /data")


def test_nothing_in_the_repository_can_be_read_without_the_passphrase(redis: Kept) -> None:
    redis.write(SECRET)
    redis.backups.create(full=False)
    assert SECRET in redis.kept
    assert redis.run(f"grep --recursive --quiet {SECRET} {restic_backup.FOLDER}")[0] == 1
    status, output = redis.run(
        "restic snapshots --password-file <(echo another) --no-cache --no-lock"
    )
    assert status != 0
    assert "wrong password" in output


@pytest.mark.fault(
    "a continuous backup by restic is killed (SIGKILL)",
    holds="the next one succeeds, and the repository is intact",
)
def test_a_killed_backup_leaves_the_repository_usable(redis: Kept) -> None:
    killed = redis.inside(f"""
        bash {SCRIPT_FILE} create full > /dev/null 2>&1 &
        until [ -e {REPOSITORY}/locks/* ]; do sleep 0.01; done 2> /dev/null
        for each in /proc/[0-9]*; do
            if tr '\\0' ' ' < $each/cmdline 2> /dev/null | grep --quiet '^restic .*backup'; then
                kill -KILL $! ${{each#/proc/}} && echo killed
            fi
        done
    """)
    assert "killed" in killed
    assert redis.inside(f"ls {REPOSITORY}/locks")
    redis.write("e")
    redis.backups.create(full=True)
    redis.backups.verify()
    redis.inside(f'[ -z "$(ls {REPOSITORY}/locks)" ] && [ ! -e {restic_backup.FOLDER}/copy ]')


@pytest.mark.fault(
    "a continuous backup by restic is damaged",
    holds="a verification fails, and changes nothing",
)
def test_a_damaged_backup_is_rejected(redis: Kept) -> None:
    before = redis.kept
    pack = redis.inside(f"find {REPOSITORY}/data -type f -size +0 -printf '%T@ %p\\n' | sort -n")
    path = pack.splitlines()[-1].split()[1]
    redis.inside(f"cp {path} /tmp/pack && chmod u+w {path} && truncate --size=-64 {path}")
    try:
        with pytest.raises(OpsError):
            redis.backups.verify()
    finally:
        redis.inside(f"cp /tmp/pack {path}")
    redis.backups.verify()
    assert redis.kept == before


# What a start finds if the one before was killed while it replaced the data.
STATES = {
    "nothing was moved": "mkdir .restored; touch old-1 old-2 .restored/new-1 .restored/new-2",
    "the old data leaves": "mkdir .restored .replacing; touch old-2 .replacing/old-1 .restored/new-{1,2}",
    "the new data enters": "mkdir .entering .replacing; touch new-1 .replacing/old-{1,2} .entering/new-2",
    "all of it has": "mkdir .replacing .replaced; touch new-{1,2} .replacing/old-{1,2} .replaced/older",
}


@pytest.mark.fault(
    "a start is killed (SIGKILL) while it replaces data with a backup by restic",
    holds="the next start completes it",
)
@pytest.mark.parametrize("state", STATES)
def test_a_killed_start_continues(redis: Kept, state: str) -> None:
    after = redis.inside(f"""
        set -e
        export BACKUP_DATA=/tmp/data
        rm -rf $BACKUP_DATA && mkdir $BACKUP_DATA && cd $BACKUP_DATA
        {STATES[state]}
        bash {SCRIPT_FILE} prepare
        find . -type f | sort
    """)
    assert after.split() == ["./.replaced/old-1", "./.replaced/old-2", "./new-1", "./new-2"]


@pytest.mark.fault(
    "the data of a Redis with continuous backups is lost",
    holds="the next start restores the newest backup",
)
def test_lost_data_comes_back_by_itself(engine: Any, redis: Kept) -> None:
    redis.backups.create(full=False)
    expected = redis.kept
    redis.container.stop()
    output_of(
        engine,
        redis.container.image.id,
        ["bash", "-c", "rm -rf /v/*"],
        entrypoint=[],
        network_mode="none",
        volumes={f"strata-{STACK}-redis-data": {"bind": "/v"}},
    )
    redis.container.start()
    until(lambda: redis.serves and redis.kept == expected, "the data is restored")


@pytest.fixture(scope="module")
def in_bucket(engine: Any, project: Project, redis: Kept, store: Store) -> Kept:
    """The same datastore, whose backups are in a bucket from now on."""
    bucket = {
        "bucket": BUCKET,
        "region": REGION,
        "endpoint": store.endpoint,
        "accessKey": "backups-id",
        "secretKey": "backups-key",
        "authority": store.authority,
    }
    changed = settings()
    changed["services"]["redis"] = {"backup": {"s3": bucket}}
    project.configure({**changed, "secrets": {"backups-id": ACCESS_KEY, "backups-key": SECRET_KEY}})
    expected = redis.kept
    up = project.up()
    assert up.status == 0, up.output
    moved = Kept(engine, project, "redis")
    assert moved.kept == expected
    # Those in the volume don't count.
    until(lambda: "full" in moved.metrics, "the first backup in the bucket")
    return moved


@pytest.mark.fault(
    "a host is lost, and the backups of Redis are in a bucket",
    holds="the first `up` on another one restores the newest backup",
)
def test_a_new_host_comes_back_from_the_bucket(
    engine: Any, project: Project, in_bucket: Kept
) -> None:
    expected = in_bucket.kept
    in_bucket.backups.mark("before-the-loss")
    in_bucket.write("g")
    in_bucket.backups.create(full=False)
    assert SECRET_KEY not in json.dumps(in_bucket.container.attrs)
    destroyed = project.destroy()
    assert destroyed.status == 0, destroyed.output
    for name in ("data", "backups"):
        engine.volumes.get(f"strata-{STACK}-redis-{name}").remove()
    up = project.up()
    assert up.status == 0, up.output
    restored = Kept(engine, project, "redis")
    assert restored.kept == sorted([*expected, "g"])
    restored.backups.restore("before-the-loss")
    assert restored.kept == expected


@pytest.mark.fault(
    "the bucket of restic denies access",
    holds="Redis serves; without data, it doesn't start with an empty datastore",
)
def test_a_bucket_that_denies_access(engine: Any, project: Project, store: Store) -> None:
    redis = Kept(engine, project, "redis")
    store.access_key = "another"
    try:
        redis.container.restart()
        until(lambda: redis.serves, "it serves without the bucket")
        with pytest.raises(OpsError, match="the repository can't be used"):
            redis.backups.create(full=False)
        # A host without data doesn't start with an empty datastore.
        prepare = f"mkdir /tmp/none; BACKUP_DATA=/tmp/none bash {SCRIPT_FILE} prepare"
        status, output = redis.run(prepare)
        assert status == 1
        assert "the repository can't be used" in output
    finally:
        store.access_key = ACCESS_KEY
