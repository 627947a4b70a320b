"""The root file system of our images if no image registry is reachable: Debian, built from its
packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from strata.errors import ImageError
from strata.images.content import RECIPES
from strata.images.log import Tail

if TYPE_CHECKING:
    import docker

# A fixed time for every file: two builds from the same packages are identical.
SOURCE_DATE_EPOCH = "1735689600"
_INSTALL = ["apt-get", "install", "--yes", "--no-install-recommends", "mmdebstrap"]


def options(text: str) -> tuple[str, list[str]]:
    """The suite and the arguments of mmdebstrap in the lines of `root.conf`."""
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
    """The path of mmdebstrap, which is installed if we are root on Debian. Raises `ImageError`
    if it can't be."""
    tool = shutil.which("mmdebstrap")
    if tool:
        return tool
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ImageError(
            "the base image can't be built: no image registry is reachable, and mmdebstrap, which "
            "builds it from Debian packages, is not installed",
            "install it (`apt-get install mmdebstrap`), or make an image registry reachable",
        )
    for command in (["apt-get", "update"], _INSTALL):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode != 0:
            tail = "\n".join(done.stderr.splitlines()[-5:])
            raise ImageError(
                f"mmdebstrap can't be installed: `{' '.join(command)}` failed:\n{tail}",
                "fix the error above, or make an image registry reachable",
            )
    return shutil.which("mmdebstrap") or "mmdebstrap"


def build(client: docker.DockerClient, reference: str, progress: Callable[[str], None]) -> None:
    """Builds the root file system and imports it as `reference`.

    The import starts once the tar is complete, so an interrupted run leaves no partial image.
    """
    progress("preparing")
    tool = ensure_tool()
    if os.geteuid() != 0:
        progress("preparing (as an ordinary user, in a user namespace)")
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
                    progress(line[3:].strip())
        if process.returncode != 0:
            raise ImageError(
                f"the root file system can't be built: mmdebstrap failed:\n{tail}",
                "fix the error above, or make an image registry reachable",
            )
        progress("importing")
        repository, _, tag = reference.partition(":")
        client.api.import_image_from_file(str(target), repository=repository, tag=tag)
