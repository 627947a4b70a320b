"""A volume with a quota, on a disk that has project quotas and on one that has none."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docker.conftest import containers
from tests.docker.own_engine import ADDRESSES, running_engine
from tests.project import TEST_SYSTEMS, Project

STACK = "pytest-quota"
VOLUME = f"strata-{STACK}-server-data"
DISK_BYTES = 4 * 1024**3
"""More than the quota. The file has no more blocks than what is written to it."""
FILE_SYSTEMS = (
    ("mkfs.xfs", "-q"),
    ("mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"),
)


def project(folder: Path, url: str, size_gib: int | None) -> Project:
    created = Project(folder, STACK, settings(size_gib), systems=TEST_SYSTEMS)
    created.environment["DOCKER_HOST"] = url
    return created


def settings(size_gib: int | None) -> dict[str, Any]:
    volumes = {"data": {} if size_gib is None else {"sizeGib": size_gib}}
    return {
        "system": "holding",
        "network": {"range": ADDRESSES},
        "images": "local",
        "services": {"server": {"volumes": volumes}},
    }


def with_quotas(folder: Path) -> None:
    (folder / "data").mkdir()
    for command in FILE_SYSTEMS:
        if shutil.which(command[0]) is None:
            continue
        disk = folder / command[0]
        with disk.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run([*command, str(disk)], check=True)
        mount = ["mount", "-o", "loop,prjquota", str(disk), str(folder / "data")]
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            return
    pytest.skip("the kernel of this host has no project quotas, or mkfs.xfs is missing")


def without_quotas(folder: Path) -> None:
    (folder / "data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder / "data")], check=True)


def test_a_quota_limits_a_volume(engine: Any, tmp_path: Path) -> None:
    with running_engine(with_quotas) as own:
        client = own.start()
        own.load(engine, "probe-server")
        stack = project(tmp_path / "project", own.url, 1)
        up = stack.up()
        assert up.status == 0, up.output
        assert [each.name for each in client.volumes.list(filters={"name": STACK})] == [VOLUME]

        server = containers(client, STACK)["server"]
        wrote = server.exec_run(["fallocate", "--length", "900MiB", "/data/first"])
        assert wrote.exit_code == 0, wrote.output
        rejected = server.exec_run(["fallocate", "--length", "200MiB", "/data/second"])
        assert rejected.exit_code != 0
        # XFS says the former, ext4 the latter.
        messages = ("No space left on device", "Disk quota exceeded")
        assert any(message in rejected.output.decode() for message in messages), rejected.output
        shown = server.exec_run(["df", "--output=size", "--block-size=1MiB", "/data"])
        assert shown.output.split()[-1] == b"1024"

        again = stack.up()
        assert again.status == 0, again.output
        assert "docker:index:Volume" not in again.output, again.output
        for size_gib, change in ((2, "from 1g to 2g"), (None, "from 1g to none")):
            stack.configure(settings(size_gib))
            changed = stack.up()
            assert changed.status != 0
            message = f"Docker can't change the quota of volume {VOLUME} {change}"
            assert message in changed.output, changed.output
        assert server.exec_run(["test", "-e", "/data/first"]).exit_code == 0
        destroyed = stack.destroy()
        assert destroyed.status == 0, destroyed.output


def test_a_quota_on_a_disk_without_any_is_rejected(tmp_path: Path) -> None:
    with running_engine(without_quotas) as own:
        client = own.start()
        stack = project(tmp_path / "project", own.url, 1)
        rejected = stack.preview()
        assert rejected.status != 0
        assert "strata:services.server.volumes.data.sizeGib: the file system of" in rejected.output
        assert "has no project quotas" in rejected.output
        assert "prjquota" in rejected.output
        assert client.volumes.list() == []
