"""The wheel, built from this checkout and installed in a virtual environment of its own. Needs no network."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.project import REPOSITORY

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
OFFLINE = ["--no-index", "--no-deps", "--quiet"]


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the package. Its dependencies are those of the tests' environment."""

    wheel: Path
    environment: Path

    def run(self, program: str, folder: Path, **variables: str) -> str:
        """Runs a Python program and returns its output."""
        done = subprocess.run(
            [str(self.environment / "bin" / "python"), "-c", program],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": str(folder), **variables},
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("package")
    build = ["wheel", "--no-build-isolation", "--wheel-dir", str(folder), str(REPOSITORY)]
    subprocess.run([*PIP, *build, *OFFLINE], check=True)
    (wheel,) = folder.glob("strata-*.whl")
    environment = folder / "venv"
    venv.create(environment, symlinks=True, with_pip=False)
    into = ["--python", str(environment / "bin" / "python"), "install", str(wheel)]
    subprocess.run([*PIP, *into, *OFFLINE], check=True)
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, environment)
