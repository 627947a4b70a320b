"""The wrapper of the CLI: it removes the lock of a killed run and no other, and chooses the Python environment."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from toolchain import files
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


PROJECT = "name: strata\nruntime: python\n"
SETTINGS = {
    "dev": "# strata:platform: eks, one day\nconfig:\n  strata:system: reference\n",
    "prod": "config:\n  strata:system: reference\n  strata:platform: eks\n",
    "any": 'config:\n  "strata:platform": "kubernetes" # any\n',
    "foreign": "config:\n  aws:region: us-east-1\n",
}


@pytest.fixture
def project(place: Layout) -> Layout:
    """A project with stacks, all set up, and a CLI that tells where its Python comes from."""
    (place.root / "Pulumi.yaml").write_text(PROJECT)
    for name, text in SETTINGS.items():
        place.stack_file(name).write_text(text)
    files.write(place.clouds_venv / "strata-installed", "")
    files.write(place.stamps / "aws-plugin", "")
    script = '#!/bin/sh\necho "${PATH%%:*}"\n'
    (place.pulumi_folder / "pulumi").write_text(script)
    return place


def chosen(
    project: Layout, *arguments: str, folder: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(project.root),
        "PULUMI_HOME": str(project.pulumi_home),
        "PULUMI_BACKEND_URL": f"file://{project.state}",
        **variables,
    }
    return subprocess.run(
        [str(project.bin / "pulumi"), *arguments],
        cwd=project.root / folder,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def environment_of(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    path = done.stdout.strip()
    return Path(path).parent.name if path.endswith("/bin") and path != "/usr/bin" else ""


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ("dev", "venv"),
        ("prod", "venv-clouds"),
        ("any", "venv-clouds"),
        ("foreign", ""),
        ("new", ""),
    ],
)
def test_the_environment_is_that_of_the_platform(
    project: Layout, stack: str, expected: str
) -> None:
    for arguments in (
        ("preview", "--stack", stack),
        ("--stack", stack, "up", "--yes"),
        ("preview", f"--stack={stack}"),
        ("preview", "-s", stack),
        ("preview", f"-s{stack}", "--diff"),
        ("preview", "--stack", f"organization/strata/{stack}"),
    ):
        assert environment_of(chosen(project, *arguments)) == expected, arguments
    assert environment_of(chosen(project, "preview", PULUMI_STACK=stack)) == expected
    over = chosen(project, "preview", "--stack", stack, PULUMI_STACK="dev")
    assert environment_of(over) == expected


def test_the_project_may_lie_above_or_be_named(project: Layout, tmp_path: Path) -> None:
    (project.root / "a" / "b").mkdir(parents=True)
    assert environment_of(chosen(project, "up", "-s", "prod", folder="a/b")) == "venv-clouds"
    for cwd in (["--cwd", ".."], ["-C", str(project.root)], ["--cwd=../../a/.."]):
        done = chosen(project, *cwd, "up", "-s", "prod", folder="a")
        assert environment_of(done) == "venv-clouds", cwd


def test_the_selected_stack_counts_where_none_is_named(project: Layout) -> None:
    name = hashlib.sha1(f"{project.root}/Pulumi.yaml".encode()).hexdigest()  # noqa: S324
    workspaces = project.pulumi_home / "workspaces"
    files.write(
        workspaces / f"strata-{name}-workspace.json",
        '{\n    "stack": "organization/strata/prod"\n}',
    )
    assert environment_of(chosen(project, "preview")) == "venv-clouds"
    assert environment_of(chosen(project, "preview", "--stack", "dev")) == "venv"


@pytest.mark.parametrize("missing", ["venv-clouds/strata-installed", "stamps/aws-plugin"])
def test_what_is_not_set_up_is_said_with_the_command_that_does(
    project: Layout, missing: str
) -> None:
    (project.folder / missing).unlink()
    for arguments in (("preview", "--stack", "prod"), ("--stack", "prod", "up", "--yes")):
        done = chosen(project, *arguments)
        assert done.returncode == 1
        assert done.stdout == ""
        assert "the stack prod needs the SDKs of AWS and Kubernetes" in done.stderr
        assert "`make setup STACK=prod`" in done.stderr
    # What runs no program needs none of it.
    assert chosen(project, "stack", "ls", "--stack", "prod").returncode == 0
    assert environment_of(chosen(project, "preview", "--stack", "dev")) == "venv"


def test_a_plan_by_the_plan_only_provider_says_so_in_one_line(project: Layout) -> None:
    files.write(project.plugin("aws", "7.51.1") / "provider.py", "")
    assert chosen(project, "preview", "--stack", "prod").stderr.splitlines() == [
        "Plan only: what AWS and Kubernetes would check of it themselves is not checked."
    ]
    assert chosen(project, "preview", "--stack", "dev").stderr == ""
