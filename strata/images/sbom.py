"""Writes the software bill of materials (SBOM) of images as CycloneDX JSON, by the user's Syft."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from strata import docker_engine
from strata.errors import ImageError, Problem, raise_problems, reason
from strata.images import catalogue
from strata.images.engine import present
from strata.images.source import Source, resolve

if TYPE_CHECKING:
    import docker

SUFFIX = ".cdx.json"
"""By which tools recognize CycloneDX."""
_SETTINGS = {
    "SYFT_CHECK_FOR_APP_UPDATE": "false",
    # Otherwise, Syft keeps a cache in the user's home.
    "SYFT_CACHE_TTL": "0",
}
_TYPES = {"deb": "Debian", "pypi": "Python", "golang": "Go", "npm": "Node.js", "maven": "Java"}
"""What people call the types of package URLs (purl)."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An image to describe. `scanned`: its source and reference as Syft takes them; `file`: the name
    of its SBOM."""

    name: str
    scanned: str
    file: str


def program() -> str:
    """The path of Syft. Raises `ImageError` if it isn't installed."""
    path = shutil.which("syft")
    if path is None:
        raise ImageError(
            "syft: isn't installed",
            "install it (https://github.com/anchore/syft#installation), so that it is on the PATH",
        )
    return path


def targets(client: docker.DockerClient, names: Iterable[str], source: Source) -> list[Target]:
    """The images of these names, which passed `catalogue.check`, or all logical images that the engine
    has. One that is pulled by digest is read from its registry if the engine doesn't have it.

    Raises `InvalidStackError` for images that have to be built first, and for those whose files would
    have the same name; `ImageError` if there are none.
    """
    have = present(client)
    if not (wanted := tuple(dict.fromkeys(names))):
        wanted = tuple(name for name in catalogue.IMAGES if resolve(name, source) in have)
        if not wanted:
            raise ImageError(
                "the engine has no images of Strata", "run `strata images build` first"
            )
    files: dict[str, Target] = {}
    problems: list[Problem] = []
    for name in wanted:
        reference, path = resolve(name, source), f"image {name}"
        if reference not in have and reference != catalogue.get(name).upstream:
            problems.append(
                Problem(path, "isn't on the engine", f"build it: strata images build {name}")
            )
        scheme = "docker" if reference in have else "registry"
        file = re.sub(r"[/:@]", "-", catalogue.get(name).name) + SUFFIX
        target = Target(name=name, scanned=f"{scheme}:{reference}", file=file)
        if files.setdefault(file, target).scanned != target.scanned:
            other = f"has the same name as {files[file].name}: their SBOMs would be one file"
            problems.append(Problem(path, other, "write them to two folders (--output)"))
    raise_problems(problems)
    return list(files.values())


def write(target: Target, folder: Path, syft: str) -> Mapping[str, int]:
    """Writes the SBOM of an image, in place of an earlier one. Returns the number of packages by type.

    Raises `ImageError` if Syft fails or the folder can't be written to; an earlier file stays.
    """
    path = folder / target.file
    partial = path.with_name(f"{path.name}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _scan(target, partial, syft)
            packages = count(partial.read_text())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise ImageError(
            f"image {target.name}: its SBOM can't be written: {reason(error)}",
            "name a folder that you can write to (--output)",
        ) from None
    except ValueError:
        raise ImageError(
            f"image {target.name}: {syft} wrote no CycloneDX",
            "check that it is Anchore's Syft: `syft version`",
        ) from None
    return packages


def _scan(target: Target, path: Path, syft: str) -> None:
    command = [syft, "scan", target.scanned, "--output", "cyclonedx-json"]
    # The engine that the SDK uses: Syft's own choice may be another one.
    environment = {**os.environ, "DOCKER_HOST": docker_engine.address(), **_SETTINGS}
    with path.open("w") as file:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            check=False,
        )
    if done.returncode:
        raise ImageError(
            f"image {target.name}: syft failed: {_error(done.stderr)}",
            f"run `{' '.join(['syft', *command[1:], '-vv'])}` to see more",
        )


def count(document: str) -> dict[str, int]:
    """The number of packages in an SBOM by type, the most frequent first. Raises `ValueError` if the
    text isn't JSON."""
    purls = [each.get("purl", "") for each in json.loads(document).get("components", ())]
    types = Counter(purl.removeprefix("pkg:").partition("/")[0] for purl in purls if purl)
    return {_TYPES.get(name, name): number for name, number in types.most_common()}


def _error(log: str) -> str:
    """The last line of Syft's log, without the time and level."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log).strip()
    return re.sub(r"^\[\d+\]\s+ERROR\s+", "", plain.rpartition("\n")[2]) or "it printed no error"
