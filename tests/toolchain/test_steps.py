"""The plain logic of set-up."""

import json
import os
import re
import shutil
import stat
import subprocess
import tomllib
from contextlib import nullcontext
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from strata.errors import SetupError
from strata.pins import PULUMI
from toolchain import (
    bootstrap,
    checks,
    clean,
    debian,
    files,
    layout,
    plugins,
    registries,
    source,
    stack,
    steps,
)
from toolchain.layout import Layout
from toolchain.registries import edits, golang
from toolchain.stamps import Stamp, digest


def test_a_stamp_holds_until_an_input_changes(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "main.go").write_text("one")
    output = tmp_path / "binary"
    first = Stamp(tmp_path / "stamps", "step", digest("text", module), [output])
    assert not first.valid()
    output.write_text("")
    first.set()
    assert first.valid()
    assert Stamp(tmp_path / "stamps", "step", digest("text", module), [output]).valid()
    (module / "main.go").write_text("two")
    assert not Stamp(tmp_path / "stamps", "step", digest("text", module), [output]).valid()


def test_a_stamp_without_its_output_does_not_hold(tmp_path: Path) -> None:
    stamp = Stamp(tmp_path, "step", "x", [tmp_path / "binary"])
    stamp.set()
    assert not stamp.valid()


def test_a_digest_tells_where_a_file_ends() -> None:
    assert digest("ab", "c") != digest("a", "bc")


def test_a_secret_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    files.ensure_secret(path)
    first = path.read_text()
    files.ensure_secret(path)
    assert path.read_text() == first
    assert len(bytes.fromhex(first)) == files.SECRET_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_goes_on_over_an_interrupted_one(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_text("half")
    files.write(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert not (tmp_path / "file.new").exists()


STACK_FILE = "# why\nconfig:\n  strata:count: 20 # twenty\n"
SALT = "encryptionsalt: v1:abc\n"
OTHER_SALT = "encryptionsalt: v1:xyz\n"


def test_the_salt_is_one_line_at_the_end() -> None:
    assert stack.salt_of(STACK_FILE + SALT) == SALT
    assert stack.salt_of(STACK_FILE) == ""
    assert stack.without_salt(STACK_FILE + SALT) == STACK_FILE
    assert stack.with_salt(STACK_FILE, SALT) == STACK_FILE + SALT
    assert stack.with_salt(STACK_FILE + "encryptionsalt: old\n", SALT) == STACK_FILE + SALT
    assert stack.with_salt("", SALT) == SALT
    assert stack.with_salt("config: {}", SALT) == "config: {}\n" + SALT


def test_git_never_sees_the_salt(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, check=True, text=True, capture_output=True).stdout

    place = Layout(tmp_path)
    git("init", "--quiet")
    (tmp_path / ".gitignore").write_text("/.toolchain/\n")
    (tmp_path / ".gitattributes").write_text((layout.here().root / ".gitattributes").read_text())
    stack_file, other = place.stack_file("dev"), place.stack_file("prod")
    stack_file.write_text(STACK_FILE)
    other.write_text(STACK_FILE)
    git("add", ".")
    git("commit", "--quiet", "--message", "first")

    files.write(place.salt("dev"), SALT)
    files.write(place.salt("prod"), OTHER_SALT)
    stack.configure_git(place)
    stack_file.write_text(STACK_FILE + SALT)
    other.write_text(STACK_FILE + OTHER_SALT)
    for name in ("dev", "prod"):
        stack.refresh_index(place, name)
    assert git("status", "--porcelain") == ""

    changed = STACK_FILE + "more: x\n" + SALT
    stack_file.write_text(changed)
    stack.refresh_index(place, "dev")
    assert git("status", "--porcelain") == f" M {stack_file.name}\n"
    assert "more" in git("diff")
    assert "encryptionsalt" not in git("diff")
    other.unlink()
    git("checkout", "--", ".")
    # Each gets back its own.
    assert stack_file.read_text() == STACK_FILE + SALT
    assert other.read_text() == STACK_FILE + OTHER_SALT
    assert git("status", "--porcelain") == ""

    stack_file.write_text(changed)
    git("commit", "--quiet", "--all", "--message", "second")
    assert "encryptionsalt" not in git("show", f"HEAD:{stack_file.name}")
    assert "encryptionsalt" not in git("show", f"HEAD:{other.name}")
    # The salt of a shared stack is no machine's own.
    shared = place.stack_file("shared")
    shared.write_text(SALT + STACK_FILE)
    git("add", ".")
    git("commit", "--quiet", "--message", "third")
    assert SALT in git("show", f"HEAD:{shared.name}")
    shared.unlink()
    git("checkout", "--", ".")
    assert shared.read_text() == SALT + STACK_FILE
    stack.unconfigure_git(place)
    assert "strata-machine" not in git("config", "--list", "--local")


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh"])
def test_the_environment_file_works_in_every_shell(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    place = Layout(tmp_path / "a folder with spaces and $signs")
    files.write(place.environment_file, layout.shell_file(place, source.REGISTRIES, None))
    before = "/usr/sbin:/usr/bin:/sbin:/bin"
    script = '. "$1"; . "$1"; echo "$PATH"; echo "$PULUMI_BACKEND_URL"; echo "${PULUMI_CONFIG_PASSPHRASE-unset}"'
    done = subprocess.run(
        [shell, "-c", script, shell, str(place.environment_file)],
        env={
            "PATH": before,
            "PULUMI_BACKEND_URL": "s3://team",
            "PULUMI_CONFIG_PASSPHRASE": "of something else",
        },
        cwd="/",
        check=True,
        text=True,
        capture_output=True,
    )
    path, backend, passphrase = done.stdout.splitlines()
    assert path == os.pathsep.join([str(place.bin), str(place.venv / "bin"), before])
    assert backend == "s3://team"
    assert passphrase == "unset"


def test_process_and_shell_get_the_same_variables(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    environment = layout.process_environment(place, source.OFFICIAL, "unix:///run/other.sock")
    text = layout.shell_file(place, source.OFFICIAL, "unix:///run/other.sock")
    for name in layout.variables(place, source.OFFICIAL, "unix:///run/other.sock"):
        assert f"export {name}=" in text
        assert name in environment


def test_the_source_is_probed_once_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(source.VARIABLE, raising=False)
    place = Layout(tmp_path)
    assert source.choose(place, lambda: True) == source.OFFICIAL
    assert source.choose(place, lambda: False) == source.REGISTRIES
    source.remember(place, source.OFFICIAL)
    assert source.choose(place, lambda: pytest.fail("probed again")) == source.OFFICIAL


def test_the_source_can_be_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(source.VARIABLE, source.REGISTRIES)
    assert source.choose(Layout(tmp_path), lambda: True) == source.REGISTRIES
    monkeypatch.setenv(source.VARIABLE, "somewhere")
    with pytest.raises(SetupError, match="somewhere"):
        source.choose(Layout(tmp_path), lambda: True)


def test_an_edit_that_does_not_fit_fails(tmp_path: Path) -> None:
    (tmp_path / "file.go").write_text("wait = 5\nother = 5\n")
    edits.apply((edits.Edit("file.go", "wait = 5", "wait = 0"),), tmp_path, "here.py")
    assert (tmp_path / "file.go").read_text() == "wait = 0\nother = 5\n"
    for old in ("wait = 5", "= "):
        with pytest.raises(SetupError, match="not once"):
            edits.apply((edits.Edit("file.go", old, ""),), tmp_path, "here.py")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.25rc1 darwin/arm64", (1, 25)),
        ("gccgo (Debian) 12", None),
    ],
)
def test_the_version_of_go_is_read(text: str, expected: tuple[int, int] | None) -> None:
    assert golang.version(text) == expected


def test_a_missing_go_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="install Go"):
        golang.check(Layout(tmp_path))


def test_debian_and_what_is_made_from_it() -> None:
    assert "debian" in debian.family("ID=debian\nVERSION_ID=12\n")
    assert "debian" in debian.family('ID=pop\nID_LIKE="ubuntu debian"\n')
    assert "debian" not in debian.family("ID=fedora\n")


def test_the_environment_is_made_again_for_another_lock_or_place(tmp_path: Path) -> None:
    lock = tmp_path / "docker.lock"
    lock.write_text("a==1\n")
    first = bootstrap.identity([lock], tmp_path / "venv")
    assert bootstrap.identity([lock], tmp_path / "venv") == first
    assert bootstrap.identity([lock], tmp_path / "moved") != first
    lock.write_text("a==2\n")
    assert bootstrap.identity([lock], tmp_path / "venv") != first


@pytest.mark.parametrize("status", [0, 3])
def test_a_program_in_the_background_is_waited_for(
    status: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = ["-c", f"import sys, time; time.sleep(0.2); print('built'); sys.exit({status})"]
    with (
        pytest.raises(SetupError, match="status 3") if status else nullcontext(),
        steps.background(Layout(tmp_path), program, dict(os.environ)),
    ):
        print("meanwhile")
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "meanwhile"
    assert lines[-1] == "built"


def test_an_unknown_layer_names_the_known_ones() -> None:
    with pytest.raises(SetupError, match="toolchain"):
        checks.layer_folder(layout.here(), "nothing")
    assert checks.layer_folder(layout.here(), "toolchain").is_dir()


def test_each_layer_runs_with_all_tests_or_by_name() -> None:
    here = layout.here()
    folders = [*checks.with_stacks(here), *checks.without_stacks(here), *checks.by_name(here)]
    assert len(set(folders)) == len(folders)
    layers = {path.parent for path in (here.root / "tests").glob("*/test_*.py")}
    assert set(folders) == {*map(str, layers), str(here.root / "apps")}
    assert all(checks.layer_folder(here, Path(each).name) for each in checks.by_name(here))


def pinned(group: str) -> dict[str, str]:
    """The packages of a lock, by name."""
    text = (layout.here().root / "toolchain" / "requirements" / f"{group}.lock").read_text()
    # No registry's address gets into a lock.
    assert "://" not in text
    lines = [line.split()[0] for line in text.splitlines() if re.match(r"\w", line)]
    assert all("==" in line for line in lines)
    return dict(line.split("==") for line in lines)


def test_the_locks_agree_with_each_other_and_with_the_plugins() -> None:
    docker, eks, test = (pinned(group).items() for group in ("docker", "eks", "test"))
    assert docker <= eks <= test
    versions = {f"pulumi-{name}": version for name, version in plugins.VERSIONS.items()}
    assert {"pulumi": PULUMI, **versions}.items() <= eks
    # Pulumi requires the plugin of every SDK in the environment.
    assert [name for name in pinned("docker") if name.startswith("pulumi-")] == ["pulumi-docker"]


def test_the_locks_have_what_the_package_declares() -> None:
    file = tomllib.loads((layout.here().root / "pyproject.toml").read_text())
    project = file["project"]
    extras = project["optional-dependencies"]
    for group, declared in (
        ("docker", [*project["dependencies"], *extras["docker"]]),
        ("eks", [*extras["kubernetes"], *extras["eks"]]),
        ("test", file["build-system"]["requires"]),
    ):
        for requirement in map(Requirement, declared):
            if requirement.name != project["name"]:
                assert requirement.specifier.contains(pinned(group)[requirement.name]), requirement


def test_a_stack_is_on_docker_unless_its_settings_say_otherwise(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    for name, text in (
        ("dev", STACK_FILE),
        ("empty", ""),
        ("said", "config:\n  strata:platform: docker\n"),
        ("prod", "config:\n  strata:platform: eks\n"),
        ("any", "config: {'strata:platform': kubernetes}\n"),
    ):
        place.stack_file(name).write_text(text)
    assert place.stacks == ["any", "dev", "empty", "prod", "said"]
    assert {name for name in place.stacks if stack.on_docker(place, name)} == {
        "dev",
        "empty",
        "said",
    }


def test_a_stack_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.stack_file("dev").write_text(STACK_FILE)
    with pytest.raises(SetupError, match="no stack 'prdo'") as error:
        stack.on_docker(place, "prdo")
    assert error.value.fix == "choose one of: dev"


def test_the_plan_only_provider_never_replaces_a_real_one(tmp_path: Path) -> None:
    plugin = tmp_path / "plugins" / "resource-aws-v1.0.0"
    registries.install_plan_provider(plugin, "aws", tmp_path / "stamps")
    provider = plugin / "provider.py"
    assert os.access(plugin / "pulumi-resource-aws", os.X_OK)
    # It is copied again only if it changed.
    provider.write_text("old")
    registries.install_plan_provider(plugin, "aws", tmp_path / "stamps")
    assert provider.read_text() == "old"
    (tmp_path / "stamps" / "aws-plugin").unlink()
    registries.install_plan_provider(plugin, "aws", tmp_path / "stamps")
    assert provider.read_text() == (registries.PLAN_PROVIDER / "provider.py").read_text()

    real = tmp_path / "plugins" / "resource-kubernetes-v1.0.0"
    real.mkdir()
    (real / "pulumi-resource-kubernetes").write_text("real")
    registries.install_plan_provider(real, "kubernetes", tmp_path / "stamps")
    assert [path.name for path in real.iterdir()] == ["pulumi-resource-kubernetes"]


def test_the_caches_of_go_stay_until_the_last_build_ends(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.go.mkdir(parents=True)
    with golang.caches(place):
        with golang.caches(place):
            pass
        assert place.go.is_dir()
    assert not place.go.exists()


def test_the_caches_of_go_stay_after_an_error(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.go.mkdir(parents=True)
    with pytest.raises(SetupError), golang.caches(place):
        raise SetupError("a build failed", "")
    assert place.go.is_dir()


def test_what_lies_in_a_cloud_is_not_orphaned_by_make_clean(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    folder = place.state / ".pulumi" / "stacks" / "strata"
    folder.mkdir(parents=True)

    def holds(*types: str) -> None:
        resources = [{"urn": type_, "type": type_} for type_ in types]
        deployment = {"checkpoint": {"latest": {"resources": resources}}}
        (folder / "prod.json").write_text(json.dumps(deployment))

    holds("pulumi:pulumi:Stack", "aws:ec2/vpc:Vpc")
    with pytest.raises(SetupError, match="the stack prod has resources"):
        clean.clean(place)
    holds("pulumi:pulumi:Stack", "docker:index/container:Container")
    clean.refuse_to_orphan(place)


def test_the_command_strata_works_in_any_folder(tmp_path: Path) -> None:
    command = [str(layout.here().bin / "strata"), "status", "--stack", "nosuch"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Pulumi.yaml: can't be read" in done.stderr) == (1, True), done.stderr


def test_set_up_creates_nothing_in_a_state_that_is_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the team")
    place = Layout(tmp_path)
    place.stack_file("prod").write_text(STACK_FILE + SALT)
    files.write(place.salt("prod"), SALT)
    stack.ensure(place, {}, "prod")
    assert place.stack_file("prod").read_text() == STACK_FILE
    assert not any(path.exists() for path in (place.state, place.passphrase, place.seed))
    assert stack.exists(place, "prod")
    environment = layout.process_environment(place, source.OFFICIAL, None)
    assert environment["PULUMI_BACKEND_URL"] == "s3://team"
    assert environment["PULUMI_CONFIG_PASSPHRASE"] == "of the team"
