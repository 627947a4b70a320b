"""A Pulumi program of somebody else's, in its own folder, with the wheel: up on Docker, planned on EKS."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from strata import docker_engine
from tests.package.conftest import Installed
from tests.wait import until

PROGRAM = Path(__file__).resolve().parent / "stranger"


class Stranger:
    """The program with a state and secrets of its own."""

    def __init__(self, folder: Path, installed: Installed) -> None:
        self.folder = folder / "program"
        shutil.copytree(PROGRAM, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "state").mkdir()
        kept = ("PATH", "PULUMI_HOME", "DOCKER_HOST", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION")
        self.environment = {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "HOME": str(folder),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "of a state that is thrown away",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        python = installed.environment / "bin"
        self.environment["PATH"] = f"{python}{os.pathsep}{self.environment['PATH']}"

    def create(self, stack: str) -> None:
        self.run("stack", "init", stack)
        self.run("config", "set", "--secret", "strata:seed", 32 * "s", "--stack", stack)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def planned(self, stack: str) -> set[str]:
        """The types of what a preview would create."""
        steps = json.loads(self.run("preview", "--stack", stack, "--json"))["steps"]
        return {step["newState"]["type"] for step in steps}


@pytest.fixture
def stranger(tmp_path: Path, installed: Installed) -> Stranger:
    return Stranger(tmp_path, installed)


def test_the_program_is_short() -> None:
    assert len((PROGRAM / "__main__.py").read_text().splitlines()) <= 25


def test_it_is_planned_on_eks(stranger: Stranger) -> None:
    stranger.create("prod")
    planned = stranger.planned("prod")
    assert {"aws:eks/cluster:Cluster", "kubernetes:apps/v1:StatefulSet"} <= planned
    assert not [kind for kind in planned if kind.startswith("docker:")]


def health() -> dict[str, str]:
    containers = docker_engine.connect().containers.list(filters={"name": "shop-dev-"})
    return {str(one.name).removeprefix("shop-dev-"): one.health for one in containers}


def test_its_services_are_drawn(stranger: Stranger, installed: Installed) -> None:
    stranger.create("dev")
    drawn = subprocess.run(
        [installed.environment / "bin" / "strata", "graph"],
        cwd=stranger.folder,
        env=stranger.environment,
        text=True,
        capture_output=True,
        check=False,
    )
    assert "model -->|5432| database" in drawn.stdout, drawn.stderr


def test_it_comes_up_on_docker(stranger: Stranger) -> None:
    stranger.create("dev")
    try:
        stranger.run("up", "--yes", "--skip-preview", "--stack", "dev")
        outputs: dict[str, Any] = json.loads(
            stranger.run("stack", "output", "--json", "--stack", "dev")
        )
        assert outputs["greeting"] == "hello"
        # Docker's own status follows some seconds after Strata's check of the health.
        until(lambda: health() == {"database-1": "healthy", "model-1": "healthy"}, "healthy")
    finally:
        stranger.run("destroy", "--yes", "--skip-preview", "--stack", "dev")
        # Which keeps data.
        docker_engine.connect().volumes.get("shop-dev-database-data").remove()
    # Nothing is written to the package.
    assert not (stranger.folder / ".toolchain").exists()
