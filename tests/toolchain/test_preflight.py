"""A run is rejected if the state is damaged, of another seed, or lacks its data in Docker."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from strata.errors import SetupError
from strata.platforms.docker.names import owner_of
from toolchain import files, preflight, stack
from toolchain.layout import Layout

SEED = "a seed of at least thirty-two characters"
UP = ["up", "--yes", "--stack", "dev"]
DESTROY = ["destroy", "--stack", "organization/strata/dev"]


def resource(kind: str, name: str, **labels: str) -> dict[str, Any]:
    labels = {
        "strata.stack": "dev",
        "strata.owner": owner_of(SEED.encode()),
        **{f"strata.{key}": value for key, value in labels.items()},
    }
    return {
        "type": f"docker:index/{kind.lower()}:{kind}",
        "id": f"id of {name}",
        "inputs": {
            "name": name,
            "labels": [{"label": key, "value": value} for key, value in labels.items()],
        },
    }


RESOURCES = [
    {"type": "pulumi:pulumi:Stack", "inputs": {}},
    resource("Volume", "data", backup="ops"),
    resource("Network", "network"),
    resource("Container", "api"),
]


class Stack:
    """The state of a stack, the environment of a run, and what the engine has of the stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "state" / ".pulumi" / "stacks" / "strata" / "dev.json"
        self.seed = folder / "seed"
        self.seed.write_text(f"{SEED}\n")
        self.environment = {
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "STRATA_SEED_FILE": str(self.seed),
        }
        self.existing = {str(each["id"]) for each in RESOURCES if "id" in each}
        self.write(self.file, RESOURCES)

    def write(self, path: Path, resources: list[dict[str, Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))

    def run(self, arguments: list[str]) -> list[str]:
        return preflight.main(arguments, self.folder, self.environment)


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    made = Stack(tmp_path)
    monkeypatch.setattr(preflight, "ids", lambda path, name: iter(made.existing))
    return made


def test_a_stack_in_order_runs_as_it_is(dev: Stack) -> None:
    assert dev.run(UP) == []
    assert dev.run(DESTROY) == []


@pytest.mark.fault(
    "the state is truncated or empty",
    holds="no command runs; the error names the newest readable copy",
)
@pytest.mark.parametrize("content", ["", '{"checkpoint": {"latest": {"resou', "null", "{}"])
def test_a_damaged_state_names_the_newest_readable_copy(dev: Stack, content: str) -> None:
    backups = dev.folder / "state" / ".pulumi" / "backups" / "strata" / "dev"
    for number in (1, 2, 3):
        dev.write(backups / f"dev.{number}.json", RESOURCES)
        os.utime(backups / f"dev.{number}.json", (number, number))
    (backups / "dev.3.json").write_text(content)
    os.utime(backups / "dev.3.json", (3, 3))
    dev.file.write_text(content)
    for arguments in (UP, DESTROY):
        with pytest.raises(SetupError, match="the state of the stack dev is damaged") as error:
            dev.run(arguments)
        assert f"cp {backups / 'dev.2.json'} {dev.file}\n" in error.value.fix


def test_a_damaged_state_without_a_copy_says_so(dev: Stack) -> None:
    dev.file.write_text("")
    with pytest.raises(SetupError) as error:
        dev.run(UP)
    assert "no readable copy" in error.value.fix


@pytest.mark.fault(
    "the seed is lost or replaced",
    holds="no command runs; the error says what to restore",
)
@pytest.mark.parametrize("seed", ["another seed", None])
def test_another_seed_is_rejected(dev: Stack, seed: str | None) -> None:
    dev.seed.unlink() if seed is None else dev.seed.write_text(seed)
    for arguments in (UP, DESTROY):
        with pytest.raises(SetupError, match="the stack was created with") as error:
            dev.run(arguments)
        assert "STRATA_SEED_FILE= pulumi destroy" in error.value.fix
    dev.environment["STRATA_SEED_FILE"] = ""
    assert dev.run(DESTROY) == []


def test_a_seed_in_the_settings_is_not_that_of_the_file(dev: Stack) -> None:
    dev.seed.write_text("another seed")
    (dev.folder / "Pulumi.dev.yaml").write_text("config:\n  strata:seed:\n    secure: abc\n")
    assert dev.run(UP) == []


def test_what_is_missing_is_refreshed(dev: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    dev.existing -= {"id of api", "id of network"}
    assert dev.run(UP) == ["--refresh"]
    assert "No longer in Docker, created again: api, network" in capsys.readouterr().err
    assert dev.run([*UP, "--refresh"]) == []
    assert dev.run(DESTROY) == []


def test_missing_data_is_never_created_again_unasked(dev: Stack) -> None:
    dev.existing -= {"id of data"}
    with pytest.raises(SetupError, match="volumes with data no longer exist in Docker: data"):
        dev.run(UP)
    assert dev.run([*UP, "--refresh"]) == []


def test_a_volume_in_a_folder_of_the_host_is_created_again(dev: Stack) -> None:
    bind = {"type": "none", "o": "bind", "device": "/data/postgres"}
    resources = [
        {**each, "inputs": {**each["inputs"], "driverOpts": bind}}
        if each.get("id") == "id of data"
        else each
        for each in RESOURCES
    ]
    dev.write(dev.file, resources)
    dev.existing -= {"id of data"}
    assert dev.run(UP) == ["--refresh"]


def test_a_destroy_that_would_stop_half_way_is_rejected(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {"type": "kubernetes:core/v1:PersistentVolumeClaim", "urn": "a::b::data-postgres-0"}
    dev.write(dev.file, [*RESOURCES, {**claim, "inputs": {}, "protect": True}])
    asked: list[str] = []
    monkeypatch.setattr(preflight, "repair_on_cluster", lambda name, _: asked.append(name))
    with pytest.raises(SetupError, match="half-way, at what is protected: data-postgres-0"):
        dev.run(DESTROY)
    for chosen in ("--exclude-protected", "--target=urn", "-t"):
        assert dev.run([*DESTROY, chosen]) == []
    # Each time, it was looked at whether the cluster is the stack's.
    assert asked == ["dev"] * 4
    assert dev.run(UP) == []
    assert asked == ["dev"] * 4
    # Not if the cluster is gone.
    dev.environment["PULUMI_K8S_DELETE_UNREACHABLE"] = "true"
    assert dev.run([*DESTROY, "--exclude-protected"]) == []
    assert asked == ["dev"] * 4


def test_a_destroy_stops_before_a_protected_volume(dev: Stack) -> None:
    volume = {"type": "docker:index/volume:Volume", "urn": "a::b::postgres-data", "inputs": {}}
    dev.write(dev.file, [*RESOURCES, {**volume, "protect": True}])
    with pytest.raises(SetupError, match="at what is protected: postgres-data"):
        dev.run(DESTROY)


def test_what_a_repair_records_is_protected_too(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {"type": "kubernetes:core/v1:PersistentVolumeClaim", "inputs": {}}
    dev.write(dev.file, [*RESOURCES, {**claim, "urn": "a::b::data-redis-0"}])

    def record(_: str, folder: Path) -> None:
        recorded = {**claim, "urn": "a::b::data-postgres-0", "protect": True}
        dev.write(dev.file, [*RESOURCES, recorded])

    monkeypatch.setattr(preflight, "repair_on_cluster", record)
    with pytest.raises(SetupError, match="half-way, at what is protected: data-postgres-0"):
        dev.run(DESTROY)


def test_pending_operations_on_a_cluster_are_ended_first(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pending(kind: str) -> dict[str, Any]:
        return {"pending_operations": [{"type": "creating", "resource": {"type": kind}}]}

    ended: list[str] = []

    def end(name: str, folder: Path) -> None:
        ended.append(name)
        dev.write(dev.file, RESOURCES)

    monkeypatch.setattr(preflight, "repair_on_cluster", end)
    for kind, expected in (("docker:a:B", []), ("kubernetes:a:B", ["dev"])):
        latest = {"resources": RESOURCES, **pending(kind)}
        dev.file.write_text(json.dumps({"checkpoint": {"latest": latest}}))
        assert dev.run(UP) == []
        assert ended == expected


def test_an_engine_that_does_not_answer_is_left_to_the_program(
    dev: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(path: str, name: str) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(preflight, "ids", unreachable)
    assert dev.run(UP) == []


def test_the_selected_stack_is_that_of_a_command_without_one(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "below").mkdir(parents=True)
    (project / "Pulumi.yaml").touch()
    environment = {"PULUMI_HOME": str(tmp_path)}
    assert preflight.stack_of(["up"], project / "below", environment) == ""
    digest = hashlib.sha1(f"{project}/Pulumi.yaml".encode(), usedforsecurity=False).hexdigest()
    selected = tmp_path / "workspaces" / f"strata-{digest}-workspace.json"
    files.write(selected, '{"stack": "organization/strata/dev"}')
    assert preflight.stack_of(["up"], project / "below", environment) == "dev"
    assert preflight.stack_of(["up", "-s", "a"], project, environment) == "a"
    assert preflight.stack_of(["up", "--stack=b"], project, environment) == "b"


@pytest.mark.fault(
    "the passphrase or the seed is lost while a stack exists",
    holds="set-up creates no new one, and says what to restore",
)
@pytest.mark.parametrize("secret", ["passphrase", "seed"])
def test_a_secret_that_a_stack_needs_is_not_replaced(tmp_path: Path, secret: str) -> None:
    layout = Layout(tmp_path)
    stack._ensure_secrets(layout)
    lost: Path = getattr(layout, secret)
    file = layout.state / ".pulumi" / "stacks" / "strata" / "dev.json"
    files.write(file, json.dumps({"checkpoint": {"latest": {"resources": RESOURCES}}}))
    stack._ensure_secrets(layout)
    lost.write_text("")
    with pytest.raises(SetupError, match="without it the stack dev is lost"):
        stack._ensure_secrets(layout)
    assert lost.read_text() == ""
