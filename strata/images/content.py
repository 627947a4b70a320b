"""The content of a build, and the hash that tags its result.

The tag of an image that we build is a hash of everything that a person can edit: the recipe, the
application's sources, and, by the parent's own hash, all its ancestors. So an image is built again
exactly when some of its content changed.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from strata.folders import CHECKOUT
from strata.images import catalogue

RECIPES = Path(__file__).resolve().parent / "recipes"
# The files of Python and editors must not change a hash.
_LEFT_OUT_SUFFIXES = (".pyc", ".pyo", ".swp", "~")


@dataclass(frozen=True)
class File:
    """One file of a build context: its path there, its bytes, and whether it may be executed."""

    path: str
    content: bytes
    executable: bool = False


def _walk(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is part of an image's recipe but is missing")
    for path in sorted(root.rglob("*")):
        if "__pycache__" in path.parts or path.name.endswith(_LEFT_OUT_SUFFIXES):
            continue
        if path.is_file():
            yield path


def folder_of(name: str) -> Path:
    """The folder with an image's Dockerfile."""
    image = catalogue.get(name)
    return image.folder or RECIPES / (image.recipe_of or name)


def context(name: str) -> list[File]:
    """The files of an image's build: its recipe's folder at the root, its sources under their own
    paths."""
    image = catalogue.get(name)
    folder = folder_of(name)
    paths = [(path, path.relative_to(folder)) for path in _walk(folder)]
    if image.folder:
        paths = _not_ignored(folder, paths)
    if CHECKOUT:
        for source in image.sources:
            paths += [(path, path.relative_to(CHECKOUT)) for path in _walk(CHECKOUT / source)]
    return [
        File(str(target), path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))
        for path, target in paths
    ]


def _not_ignored(folder: Path, paths: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The files that `.dockerignore` doesn't exclude."""
    ignore = folder / ".dockerignore"
    if not ignore.is_file():
        return paths
    # Imported here: a program imports this module at every run, and few folders have the file.
    from docker.utils.build import exclude_paths

    patterns = [line.strip() for line in ignore.read_text().splitlines()]
    kept = exclude_paths(str(folder), [one for one in patterns if one and one[0] != "#"])
    return [(path, target) for path, target in paths if str(target) in kept]


def digest(files: list[File], *salt: str) -> str:
    """Twelve hexadecimal digits for these files and what else determines the result."""
    total = hashlib.sha256()
    for part in salt:
        total.update(f"{part}\n".encode())
    for file in sorted(files, key=lambda each: each.path):
        content = hashlib.sha256(file.content).hexdigest()
        total.update(f"{file.path} {int(file.executable)} {content}\n".encode())
    return total.hexdigest()[:12]


def archive(files: list[File], extra: Mapping[str, bytes]) -> bytes:
    """A tar of the context. Times and owners are fixed, so that the builder's cache hits on any
    machine."""
    buffer = io.BytesIO()
    every = [*files, *(File(path, content) for path, content in extra.items())]
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for file in sorted(every, key=lambda each: each.path):
            entry = tarfile.TarInfo(file.path)
            entry.size = len(file.content)
            entry.mode = 0o755 if file.executable else 0o644
            tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
