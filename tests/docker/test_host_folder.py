"""The data of a volume in a folder of the host outlives its containers, its stack and its volume."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import containers, remove
from tests.docker.operations import restored
from tests.project import TEST_SYSTEMS, Project

STACK = "pytest-host-folder"
VOLUMES = (f"strata-{STACK}-redis-data", f"strata-{STACK}-keeper-files")
CHANGED = ("created", "updated", "replaced", "deleted")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of each volume, as an administrator creates it."""
    made = (tmp_path / "data" / "redis", tmp_path / "data" / "keeper")
    for folder in made:
        folder.mkdir(parents=True)
    return made


@pytest.fixture
def stack(engine: Any, tmp_path: Path, folders: tuple[Path, Path]) -> Iterator[Project]:
    remove(engine, STACK)
    of_redis, of_keeper = folders
    settings = {
        "system": "host_folder",
        "observability": {"enabled": False},
        "services": {
            "redis": {"volumes": {"data": {"folder": str(of_redis)}}},
            "keeper": {"volumes": {"files": {"folder": str(of_keeper)}}},
        },
    }
    project = Project(tmp_path / "project", STACK, settings, systems=TEST_SYSTEMS)
    yield project
    project.destroy()
    remove(engine, STACK)


def redis(engine: Any, *order: str) -> str:
    script = 'REDISCLI_AUTH=$(</run/secrets/password) redis-cli --user admin -h 127.0.0.1 "$@"'
    command = ["bash", "-euc", script, "redis-cli", *order]
    status, output = containers(engine, STACK)["redis"].exec_run(command)
    assert status == 0, output
    return str(output.decode().strip())


def test_data_in_a_folder_of_the_host(
    engine: Any, stack: Project, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    of_redis, of_keeper = folders
    # A folder that doesn't exist, and one inside another, are rejected before anything is created.
    right = stack.settings
    stack.configure(
        {
            **right,
            "services": {
                "redis": {"volumes": {"data": {"folder": str(tmp_path / "data" / "none")}}},
                "keeper": {"volumes": {"files": {"folder": "/etc/keeper"}}},
            },
        }
    )
    rejected = stack.up()
    assert rejected.status != 0
    assert "2 problems; nothing was changed" in rejected.output
    assert "data/none doesn't exist" in rejected.output
    assert "/etc/keeper is in the system folder /etc" in rejected.output
    assert containers(engine, STACK) == {}

    stack.configure(right)
    up = stack.up()
    assert up.status == 0, up.output
    assert redis(engine, "SET", "kept", "1") == "OK"
    wrote = containers(engine, STACK)["keeper"].exec_run(["bash", "-c", "echo kept > /data/file"])
    assert wrote.exit_code == 0, wrote.output
    assert (of_keeper / "file").read_text() == "kept\n"
    assert any(of_redis.rglob("*.aof")), list(of_redis.rglob("*"))
    for folder, service in ((of_redis, "redis"), (of_keeper, "keeper")):
        user = containers(engine, STACK)[service].attrs["Config"]["User"]
        status = folder.stat()
        assert f"{status.st_uid}:{status.st_gid}" == user
        assert status.st_mode & 0o777 == 0o700
    again = stack.up()
    assert again.status == 0, again.output
    assert not any(word in again.output for word in CHANGED), again.output

    # A backup and a restore read and write the folder.
    with restored(stack, tmp_path / "backup"):
        assert redis(engine, "SET", "kept", "2") == "OK"
        (of_keeper / "file").unlink()
    assert redis(engine, "GET", "kept") == "1"
    assert (of_keeper / "file").read_text() == "kept\n"

    # Neither a destroyed stack nor a removed volume takes the content with it.
    destroyed = stack.destroy()
    assert destroyed.status == 0, destroyed.output
    for volume in VOLUMES:
        engine.api.remove_volume(volume)
    assert (of_keeper / "file").read_text() == "kept\n"
    up = stack.up()
    assert up.status == 0, up.output
    assert redis(engine, "GET", "kept") == "1"

    # Docker ignores a new folder for a volume that exists, so it is rejected.
    elsewhere = tmp_path / "data" / "elsewhere"
    elsewhere.mkdir()
    moved = {"keeper": {"volumes": {"files": {"folder": str(elsewhere)}}}}
    stack.configure({**right, "services": {**right["services"], **moved}})
    rejected = stack.preview()
    assert rejected.status != 0
    assert f"volume {VOLUMES[1]} has its data in the folder {of_keeper}" in rejected.output
    stack.configure(right)
