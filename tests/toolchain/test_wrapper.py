"""The wrapper of the CLI removes the lock of a killed run, and no other."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from toolchain.layout import Layout, here

HOST = os.uname().nodename
# Above the largest number that Linux gives to a process.
NO_PROCESS = 2**22 + 1


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    place = Layout(tmp_path)
    place.bin.mkdir(parents=True)
    shutil.copy(here().root / "toolchain" / "pulumi-wrapper.sh", place.bin / "pulumi")
    (place.bin / "pulumi").chmod(0o755)
    place.pulumi_folder.mkdir(parents=True)
    (place.pulumi_folder / "pulumi").write_text('#!/bin/sh\necho "$#: $*"\nexit 7\n')
    (place.pulumi_folder / "pulumi").chmod(0o755)
    return place


def lock(place: Layout, pid: int, host: str) -> Path:
    path = place.state / ".pulumi" / "locks" / "organization" / "strata" / "dev" / "id.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps({"pid": pid, "username": "a", "hostname": host}, separators=(",", ":"))
    )
    return path


def run(place: Layout) -> subprocess.CompletedProcess[str]:
    command = [str(place.bin / "pulumi"), "up", "--stack", "a name"]
    environment = {**os.environ, "PULUMI_BACKEND_URL": f"file://{place.state}"}
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


def named_pulumi(folder: Path) -> subprocess.Popen[bytes]:
    sleep = shutil.which("sleep")
    assert sleep
    (folder / "pulumi").symlink_to(sleep)
    return subprocess.Popen([str(folder / "pulumi"), "60"])


def test_arguments_and_status_pass_through(place: Layout) -> None:
    done = run(place)
    assert (done.stdout, done.stderr, done.returncode) == ("3: up --stack a name\n", "", 7)


def test_the_lock_of_a_dead_process_is_removed(place: Layout) -> None:
    path = lock(place, NO_PROCESS, HOST)
    assert f"process {NO_PROCESS}" in run(place).stderr
    assert not path.exists()


def test_the_lock_of_a_process_that_is_no_pulumi_is_removed(place: Layout) -> None:
    path = lock(place, os.getpid(), HOST)
    run(place)
    assert not path.exists()


def test_the_lock_of_a_killed_process_that_nobody_waited_for_is_removed(
    place: Layout, tmp_path: Path
) -> None:
    process = named_pulumi(tmp_path)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    path = lock(place, process.pid, HOST)
    run(place)
    assert not path.exists()
    process.wait()


def test_the_lock_of_a_living_pulumi_stays(place: Layout, tmp_path: Path) -> None:
    process = named_pulumi(tmp_path)
    try:
        path = lock(place, process.pid, HOST)
        assert run(place).stderr == ""
        assert path.exists()
    finally:
        process.kill()
        process.wait()


def test_the_lock_of_another_host_stays(place: Layout) -> None:
    path = lock(place, NO_PROCESS, "elsewhere")
    assert run(place).stderr == ""
    assert path.exists()


def test_an_empty_file_of_attributes_is_removed_and_a_whole_one_stays(place: Layout) -> None:
    folder = place.state / ".pulumi" / "stacks" / "strata"
    folder.mkdir(parents=True)
    (folder / "dev.json.attrs").touch()
    (folder / "prod.json.attrs").write_text("{}")
    (folder / "dev.json").write_text("{}")
    run(place)
    assert sorted(path.name for path in folder.iterdir()) == ["dev.json", "prod.json.attrs"]


def test_an_empty_file_of_attributes_stays_while_a_pulumi_lives(
    place: Layout, tmp_path: Path
) -> None:
    process = named_pulumi(tmp_path)
    try:
        lock(place, process.pid, HOST)
        folder = place.state / ".pulumi" / "stacks" / "strata"
        folder.mkdir(parents=True)
        (folder / "dev.json.attrs").touch()
        run(place)
        assert (folder / "dev.json.attrs").exists()
    finally:
        process.kill()
        process.wait()
