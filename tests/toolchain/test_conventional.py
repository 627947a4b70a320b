"""The conventional way: `pulumi install` and `pulumi up` in a clean clone, with a CLI, a language host and the Docker
plugin on the PATH, and nothing else of set-up."""

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from strata import docker_engine
from tests.docker.conftest import free_port, remove
from tests.project import REPOSITORY
from toolchain.layout import here
from toolchain.plugins import VERSIONS
from toolchain.stack import without_salt

STACK = "clone"


@dataclass(frozen=True)
class Clone:
    folder: Path
    environment: dict[str, str]

    def pulumi(self, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment,
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone with its dependencies and a stack, made by Pulumi's own commands."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "strata"
    listing = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    tracked = subprocess.run(listing, check=True, text=True, capture_output=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, folder / name, follow_symlinks=False)
    (home / "state").mkdir()
    layout = here()
    path = [
        layout.pulumi_folder,
        layout.plugin("docker", VERSIONS["docker"]),
        Path(sys.base_prefix) / "bin",
    ]
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") or name.endswith(("_PROXY", "_proxy")) or name == "DOCKER_HOST"
    }
    environment = {
        **kept,
        "PATH": os.pathsep.join([*map(str, path), os.defpath]),
        "HOME": str(home),
        "PIP_CACHE_DIR": str(layout.folder / "cache" / "pip"),
        "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "of a state that is thrown away",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    made = Clone(folder, environment)
    installed = made.pulumi("install")
    assert "Successfully installed" in installed, installed
    settings = without_salt((folder / "Pulumi.dev.yaml").read_text())  # as git has it
    (folder / f"Pulumi.{STACK}.yaml").write_text(settings)
    made.pulumi("stack", "init", STACK)
    made.pulumi("config", "set", "--secret", "strata:seed", text=secrets.token_hex(32))
    # The ports and the addresses of the dev stack may be in use.
    for setting, value in (
        ("ports.http", str(free_port())),
        ("ports.https", str(free_port())),
        ("ports.dashboards", str(free_port())),
        ("ports.logs", str(free_port())),
        ("network.range", "10.125.0.0/16"),
    ):
        made.pulumi("config", "set", "--path", f"strata:{setting}", value)
    return made


@pytest.fixture
def cleaned() -> Iterator[None]:
    yield
    remove(docker_engine.connect(), STACK)


def test_the_environment_has_only_the_sdk_whose_plugin_is_there(clone: Clone) -> None:
    packages = clone.folder.glob(".toolchain/venv/lib/python3*/site-packages/pulumi_*.dist-info")
    assert [path.name.split("-")[0] for path in packages] == ["pulumi_docker"]


def test_a_stack_is_previewed(clone: Clone) -> None:
    output = clone.pulumi("preview", "--stack", STACK)
    assert "docker:index:Container" in output
    assert "downloading" not in output.lower()


def test_a_missing_sdk_is_reported_with_the_fix(clone: Clone) -> None:
    clone.pulumi("config", "set", "strata:platform", "eks")
    try:
        with pytest.raises(AssertionError) as error:
            clone.pulumi("preview", "--stack", STACK)
    finally:
        clone.pulumi("config", "rm", "strata:platform")
    assert "strata:platform: eks needs the Python package " in str(error.value)
    assert f"make setup STACK={STACK}" in str(error.value)
    assert "Traceback" not in str(error.value)


def test_a_stack_comes_up(clone: Clone, cleaned: None) -> None:
    try:
        output = clone.pulumi("up", "--yes", "--skip-preview", "--stack", STACK)
        assert re.search('gateway +: "http://', output)
        again = clone.pulumi("up", "--yes", "--skip-preview", "--stack", STACK)
        assert "created" not in again
    finally:
        clone.pulumi("destroy", "--yes", "--skip-preview", "--stack", STACK)
