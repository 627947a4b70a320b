"""A user of the installed package: a home, a state and secrets of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.package.conftest import Installed
from tests.project import REPOSITORY
from toolchain.layout import here
from toolchain.plugins import VERSIONS
from toolchain.registries import PLAN_PROVIDER

EXAMPLE = REPOSITORY / "examples" / "assist"
# As in the tutorial.
PASSPHRASE = "a passphrase for the secrets in your stack files"


class User:
    """`folder`, in `home`, has a copy of the example."""

    def __init__(self, home: Path, installed: Installed) -> None:
        self.home = home
        self.folder = home / "assist"
        shutil.copytree(EXAMPLE, self.folder, ignore=shutil.ignore_patterns("__pycache__", "venv"))
        (self.folder / "venv").symlink_to(installed.environment)
        pulumi_home = home / ".pulumi"
        plugin = here().plugin("docker", VERSIONS["docker"])
        # The engine follows no link here.
        shutil.copytree(plugin, pulumi_home / "plugins" / plugin.name)
        self.state = home / "state"
        self.state.mkdir()
        path = [here().pulumi_folder, installed.environment / "bin"]
        self.environment = {
            **{name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ},
            "HOME": str(home),
            "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]]),
            "PULUMI_HOME": str(pulumi_home),
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def add_plan_providers(self) -> None:
        """Instead of the plugins of AWS and Kubernetes, which no package registry has."""
        for name in ("aws", "kubernetes"):
            plugin = ("plugin", "install", "resource", name, VERSIONS[name])
            self.pulumi(*plugin, "--file", str(PLAN_PROVIDER))

    def pulumi(self, *arguments: str) -> str:
        done = self.start("pulumi", *arguments, "--non-interactive")
        output, _ = done.communicate()
        assert done.returncode == 0, output
        return output

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
