"""The root file system that own images stand on where no image registry can be reached: Debian,
made from its packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker

from strata.images.content import RECIPES
from strata.images.engine import ImageError
from strata.images.log import Tail

# A fixed time for every file that is made: two builds from the same packages differ in nothing.
SOURCE_DATE_EPOCH = "1735689600"
_INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends", "mmdebstrap"]


def options(text: str) -> tuple[str, list[str]]:
    """The suite, and the arguments of mmdebstrap, from the lines of `root.conf`."""
    suite = ""
    arguments: list[str] = []
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "suite":
            suite = value
        elif key in ("variant", "include"):
            arguments.append(f"--{key}={value}")
        elif key in ("exclude", "keep"):
            rule = "path-exclude" if key == "exclude" else "path-include"
            arguments.append(f"--dpkgopt={rule}={value}")
    return suite, arguments


def ensure_tool() -> str:
    """The path of mmdebstrap; installed where we are root on Debian. Raises `ImageError`
    elsewhere."""
    found = shutil.which("mmdebstrap")
    if found:
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ImageError(
            "no image registry can be reached, so the base image is made from Debian packages, and "
            "that needs mmdebstrap. Install it (`apt-get install mmdebstrap`), or make an image "
            "registry reachable."
        )
    for command in (["apt-get", "update"], _INSTALL):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            tail = "\n".join(done.stderr.splitlines()[-5:])
            raise ImageError(
                f"mmdebstrap could not be installed (`{' '.join(command)}` failed):\n{tail}"
            )
    return shutil.which("mmdebstrap") or "mmdebstrap"


def make(client: docker.DockerClient, reference: str, say: Callable[[str], None]) -> None:
    """Makes the root file system and imports it under `reference`.

    The tar is whole before the engine sees it, so a run that was broken off leaves no half image.
    """
    say("preparing")
    tool = ensure_tool()
    if os.geteuid() != 0:
        say("preparing (as an ordinary user, in a user namespace)")
    suite, arguments = options((RECIPES / "base" / "root.conf").read_text())
    with tempfile.TemporaryDirectory(prefix="strata-root-") as folder:
        target = Path(folder) / "root.tar"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH}
        tail = Tail()
        with subprocess.Popen(
            [tool, *arguments, suite, str(target)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        ) as process:
            for line in process.stderr or ():
                tail.add(line)
                if line.startswith("I: "):
                    say(line[3:].strip())
        if process.returncode != 0:
            raise ImageError(f"the base file system could not be made (mmdebstrap failed):\n{tail}")
        say("importing")
        repository, _, tag = reference.partition(":")
        client.api.import_image_from_file(str(target), repository=repository, tag=tag)
