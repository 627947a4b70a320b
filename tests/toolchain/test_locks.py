"""What a killed run leaves in the local state: stale locks and empty files of attributes are removed, and no others."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wait import until
from toolchain import locks
from toolchain.layout import Layout, backend, here

HOST = os.uname().nodename
# Above the largest process id of Linux.
NO_PROCESS = 2**22 + 1


@pytest.fixture
def living(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process named pulumi."""
    sleep = shutil.which("sleep")
    assert sleep
    (tmp_path / "pulumi").symlink_to(sleep)
    process = subprocess.Popen([str(tmp_path / "pulumi"), "60"])
    # Popen may return before the new program has its name.
    until(lambda: locks.is_running(process.pid, "pulumi"), "the process is named pulumi")
    yield process
    process.kill()
    process.wait()


def lock(state: Path, pid: int, host: str = HOST) -> Path:
    path = state / ".pulumi" / "locks" / "organization" / "strata" / "dev" / "id.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"pid": pid, "username": "a", "hostname": host}))
    path.with_name("id.json.attrs").write_text("{}")
    return path


def attributes(state: Path) -> Path:
    path = state / ".pulumi" / "stacks" / "strata" / "dev.json.attrs"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_the_lock_of_a_dead_process_is_removed(tmp_path: Path) -> None:
    path = lock(tmp_path, NO_PROCESS)
    assert locks.remove_stale(tmp_path) == ([NO_PROCESS], False)
    assert not list(path.parent.iterdir())


def test_the_lock_of_another_program_is_removed(tmp_path: Path) -> None:
    path = lock(tmp_path, os.getpid())
    assert locks.remove_stale(tmp_path) == ([os.getpid()], False)
    assert not path.exists()


def test_the_lock_of_a_killed_process_that_nobody_waited_for_is_removed(
    tmp_path: Path, living: "subprocess.Popen[bytes]"
) -> None:
    living.kill()
    os.waitid(os.P_PID, living.pid, os.WEXITED | os.WNOWAIT)
    path = lock(tmp_path, living.pid)
    locks.remove_stale(tmp_path)
    assert not path.exists()


def test_the_lock_of_a_running_pulumi_stays(
    tmp_path: Path, living: "subprocess.Popen[bytes]"
) -> None:
    path, empty = lock(tmp_path, living.pid), attributes(tmp_path)
    assert locks.remove_stale(tmp_path) == ([], True)
    assert path.exists()
    assert empty.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}'])
def test_a_lock_that_cannot_be_read_stays(tmp_path: Path, text: str) -> None:
    path = lock(tmp_path, NO_PROCESS)
    path.write_text(text)
    assert locks.remove_stale(tmp_path) == ([], True)
    assert path.exists()


def test_the_lock_of_another_host_stays(tmp_path: Path) -> None:
    path = lock(tmp_path, NO_PROCESS, "elsewhere")
    assert locks.remove_stale(tmp_path) == ([], True)
    assert path.exists()


def test_only_empty_files_of_attributes_are_removed(tmp_path: Path) -> None:
    folder = attributes(tmp_path).parent
    (folder / "prod.json.attrs").write_text("{}")
    (folder / "dev.json").write_text("{}")
    locks.remove_stale(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["dev.json", "prod.json.attrs"]


@pytest.fixture
def wrapped(tmp_path: Path) -> Layout:
    """The wrapper of the CLI. Its CLI and its Python print their arguments."""
    layout = Layout(tmp_path)
    for folder in (layout.bin, layout.pulumi_folder, layout.venv / "bin"):
        folder.mkdir(parents=True)
    shutil.copy(here().root / "toolchain" / "pulumi-wrapper.sh", layout.bin / "pulumi")
    (layout.pulumi_folder / "pulumi").write_text('#!/bin/sh\necho "$#: $*"\nexit 7\n')
    (layout.venv / "bin" / "python").write_text(
        '#!/bin/sh\ncase $1 in -S) [ ! -f "$MISSING" ] || echo --refresh ;; *) echo "python $*" ;; esac\n'
    )
    for folder in (layout.bin, layout.pulumi_folder, layout.venv / "bin"):
        for path in folder.iterdir():
            path.chmod(0o755)
    return layout


def run(layout: Layout, *arguments: str) -> list[str]:
    done = subprocess.run(
        [str(layout.bin / "pulumi"), *arguments],
        env={**os.environ, "PULUMI_BACKEND_URL": f"file://{layout.state}"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
    return done.stdout.splitlines()


REPAIR = "python -m toolchain repair"


def test_the_wrapper_passes_arguments_and_status_through(wrapped: Layout) -> None:
    assert run(wrapped, "up", "--stack", "a name") == ["3: up --stack a name"]


def test_the_wrapper_refreshes_if_something_is_missing(
    wrapped: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "missing").touch()
    monkeypatch.setenv("MISSING", str(tmp_path / "missing"))
    assert run(wrapped, "--non-interactive", "up") == ["3: --non-interactive up --refresh"]
    assert run(wrapped, "config", "set", "a", "up") == ["4: config set a up"]


def test_the_wrapper_repairs_before_a_run_that_would_fail(wrapped: Layout) -> None:
    path = lock(wrapped.state, NO_PROCESS)
    assert run(wrapped, "up") == [f"{REPAIR} --no-leftovers -- up", "1: up"]
    path.unlink()
    assert run(wrapped, "up") == ["1: up"]
    attributes(wrapped.state)
    assert run(wrapped, "up") == [f"{REPAIR} --no-leftovers -- up", "1: up"]


def test_the_wrapper_removes_leftovers_before_a_destroy_only(wrapped: Layout) -> None:
    state = attributes(wrapped.state).with_name("dev.json")
    state.with_name("dev.json.attrs").unlink()
    state.write_text('{"checkpoint": {"latest": {"pending_operations": []}}}')
    assert run(wrapped, "up") == ["1: up"]
    assert run(wrapped, "destroy") == [f"{REPAIR} --leftovers -- destroy", "1: destroy"]


@pytest.mark.parametrize(
    ("variable", "project", "login", "expected"),
    [
        ("", "", "", None),
        ("", "", '{"current": ""}', None),
        ("s3://team", "", "", "s3://team"),
        ("", "", '{\n    "current": "file:///mnt/team"\n}', "file:///mnt/team"),
        ("", "backend:\n  url: gs://team\n", '{"current": "s3://other"}', "gs://team"),
        ("s3://team", "backend:\n  url: gs://team\n", '{"current": "s3://other"}', "s3://team"),
    ],
)
def test_the_state_is_where_the_user_chose(
    wrapped: Layout, variable: str, project: str, login: str, expected: str | None
) -> None:
    (wrapped.root / "Pulumi.yaml").write_text(f"name: strata\n{project}description: a project\n")
    (wrapped.folder / "passphrase").touch()
    if login:
        wrapped.pulumi_home.mkdir()
        (wrapped.pulumi_home / "credentials.json").write_text(login)
    (wrapped.pulumi_folder / "pulumi").write_text(
        '#!/bin/sh\necho "${PULUMI_BACKEND_URL-} ${PULUMI_CONFIG_PASSPHRASE-} ${PULUMI_CONFIG_PASSPHRASE_FILE-}"\n'
    )
    environment = {"PATH": os.environ["PATH"], "PULUMI_CONFIG_PASSPHRASE": "of-the-team"}
    if variable:
        environment["PULUMI_BACKEND_URL"] = variable
    command = [str(wrapped.bin / "pulumi"), "config", "--stack", "prod"]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    local = f"file://{wrapped.state}"
    if expected:
        # The CLI itself reads the project and the login.
        assert done.stdout.split(" ")[:2] == [variable, "of-the-team"]
    else:
        assert done.stdout.split(" ")[:2] == [local, ""]
        assert Path(done.stdout.split(" ")[2].strip()).samefile(wrapped.folder / "passphrase")
    assert backend(wrapped, environment) == (expected or "")
    assert backend(wrapped, {"PULUMI_BACKEND_URL": local}) == ""


def test_only_plugins_without_their_engine_are_ended(tmp_path: Path) -> None:
    """Plugins of a folder, the engine of one of which listens; and one of another folder, without its engine."""
    shell = shutil.which("sh")
    assert shell
    own, other = tmp_path / "own", tmp_path / "other"
    with socket.create_server(("127.0.0.1", 0)) as engine, socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))  # taken, and nobody listens
        processes = []
        for folder, address in ((own, gone), (own, engine), (other, gone)):
            plugin = folder / "pulumi-resource-test"
            folder.mkdir(exist_ok=True)
            if not plugin.exists():
                shutil.copy(shell, plugin)
            port = address.getsockname()[1]
            command = [str(plugin), "-c", "read line", f"127.0.0.1:{port}"]
            processes.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        orphan, *others = processes
        try:
            assert locks.end_orphans(own) == [orphan.pid]
            assert orphan.wait(timeout=10) == -signal.SIGKILL
            assert [one.poll() for one in others] == [None, None]
        finally:
            for one in processes:
                one.kill()
                one.communicate()
