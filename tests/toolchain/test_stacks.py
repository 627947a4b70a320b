"""Every target of the Makefile acts on the stack that STACK names or rejects it, and none deletes data unasked."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from strata import docker_engine
from strata.errors import SetupError
from strata.platforms.docker.names import BACKUP, OWNER, STACK, owner_of
from toolchain import __main__ as commands
from toolchain import clean, data, files, stack
from toolchain.layout import Layout, here, process_environment


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, cwd=here().root, text=True, capture_output=True, check=False)


@pytest.mark.parametrize("target", ["up", "down", "setup", "preview", "push", "audit", "backup"])
def test_a_target_acts_on_the_stack(target: str) -> None:
    assert "--stack other" in make(target, "STACK=other").stdout
    assert "--stack dev" in make(target).stdout


@pytest.mark.parametrize("target", ["clean", "test", "images", "bench", "policy", "lint", "help"])
def test_a_target_of_no_stack_rejects_one(target: str) -> None:
    done = make(target, "STACK=other")
    assert done.returncode != 0
    assert f"`make {target}` doesn't act on a single stack" in done.stderr
    assert make(target).returncode == 0


@pytest.mark.parametrize("target", ["down", "clean"])
def test_data_is_deleted_only_when_told(target: str) -> None:
    assert "--delete-data" not in make(target).stdout
    assert "--delete-data" not in make(target, "DELETE_DATA=0").stdout
    assert "--delete-data" in make(target, "DELETE_DATA=1").stdout


def test_a_stack_on_a_cluster_is_left_to_the_cli(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.stack_file("prod").write_text("config:\n  strata:platform: eks\n")
    with pytest.raises(SetupError) as error:
        stack.require_docker(layout, "prod", "destroy")
    assert "pulumi destroy --stack prod" in error.value.fix
    with pytest.raises(SetupError, match="no stack 'other'"):
        stack.require_docker(layout, "other", "destroy")


@pytest.mark.parametrize("command", ["up", "down", "setup", "preview", "push"])
def test_a_stack_file_that_is_not_yaml_ends_a_command_before_set_up(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: strata\nruntime: python\n")
    layout.stack_file("prod").write_text("config:\n  strata:platform: {eks\n")
    monkeypatch.setattr(commands, "here", lambda: layout)
    ended = CliRunner().invoke(commands.application, [command, "--stack", "prod"])
    assert ended.exit_code == 1
    assert ended.stderr.startswith("error: 1 problem; nothing was changed.\n  Pulumi.prod.yaml:3: ")
    assert not layout.folder.exists()


def test_the_cli_writes_no_log_of_its_own() -> None:
    logs = here().pulumi_home / "logs"
    before = set(logs.glob("*"))
    done = stack.run(here(), process_environment(here(), "registries", None), "dev", "stack", "ls")
    assert done == 0
    assert set(logs.glob("*")) == before


class Engine:
    """An engine with volumes: those with data of two stacks of this clone, and of another clone."""

    def __init__(self, owner: str) -> None:
        own = {OWNER: owner, BACKUP: "ops"}
        self.volumes_by_name: dict[str, dict[str, str]] = {
            "strata-dev-postgres-data": {STACK: "dev", **own},
            "strata-other-redis-data": {STACK: "other", **own},
            "strata-dev-model-cache": {STACK: "dev", OWNER: owner},
            "strata-dev-of-another-clone": {STACK: "dev", OWNER: "x", BACKUP: "ops"},
        }
        self.options: dict[str, dict[str, str]] = {}

    @property
    def api(self) -> "Engine":
        return self

    def volumes(self, filters: dict[str, list[str]]) -> dict[str, Any]:
        def has(labels: dict[str, str], wanted: str) -> bool:
            name, _, value = wanted.partition("=")
            return name in labels and value in ("", labels[name])

        return {
            "Volumes": [
                {"Name": name, "Options": self.options.get(name)}
                for name, labels in self.volumes_by_name.items()
                if all(has(labels, wanted) for wanted in filters["label"])
            ]
        }

    def remove_volume(self, name: str) -> None:
        del self.volumes_by_name[name]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    files.ensure_secret(layout.seed)
    return layout


@pytest.fixture
def engine(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine(owner_of(layout.seed.read_text().strip().encode()))
    monkeypatch.setattr(docker_engine, "connect", lambda: engine)
    return engine


def test_the_data_of_a_stack_is_kept_and_named(
    layout: Layout, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    data.delete_or_name(layout, "dev", {}, delete=False)
    assert capsys.readouterr().out == (
        "Kept 1 volume with data: strata-dev-postgres-data\n"
        "    To delete: make down STACK=dev DELETE_DATA=1\n"
    )
    assert len(engine.volumes_by_name) == 4


def test_the_data_of_one_stack_is_deleted_when_told(layout: Layout, engine: Engine) -> None:
    data.delete_or_name(layout, "dev", {}, delete=True)
    assert list(engine.volumes_by_name) == [
        "strata-other-redis-data",
        "strata-dev-model-cache",
        "strata-dev-of-another-clone",
    ]


def test_what_the_destroy_deleted_is_named(
    layout: Layout, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    before = data.volumes(engine, layout, "dev")
    engine.remove_volume("strata-dev-postgres-data")
    data.delete_or_name(layout, "dev", before, delete=False)
    assert capsys.readouterr().out == (
        "Deleted with the stack (deletionPolicy: delete): 1 volume with data: strata-dev-postgres-data\n"
    )


def test_the_content_of_a_folder_of_the_host_is_never_deleted(
    layout: Layout, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    bind = {"type": "none", "o": "bind", "device": "/data/postgres"}
    engine.options["strata-dev-postgres-data"] = bind
    data.delete_or_name(layout, "dev", {}, delete=False)
    data.delete_or_name(layout, "dev", {}, delete=True)
    named = "1 volume with data: strata-dev-postgres-data (in /data/postgres)"
    assert capsys.readouterr().out == (
        f"Kept {named}\n"
        "    To delete: make down STACK=dev DELETE_DATA=1\n"
        f"Deleted {named}\n"
        "Kept the content of the host's folder /data/postgres\n"
        "    To delete: sudo find /data/postgres -mindepth 1 -delete\n"
    )


def test_a_clone_with_data_is_not_cleaned(layout: Layout, engine: Engine) -> None:
    expected = "2 volumes with data: strata-dev-postgres-data, strata-other-redis-data"
    with pytest.raises(SetupError, match=expected) as error:
        clean.clean(layout)
    assert "DELETE_DATA=1" in error.value.fix
    assert layout.seed.is_file()
    assert len(engine.volumes_by_name) == 4
