"""What the Dockerfiles of an image say about its source and its program.

A person edits the source in the repository; the stage that is built copies it into the image.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from strata.folders import CHECKOUT
from strata.images import catalogue, content, stages


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`folders`: where the image has the folders of this machine that it copies, files apart.
    `entry_point` and `command`: what it runs, as far as a Dockerfile of ours or the user's says."""

    folders: tuple[tuple[PurePosixPath, Path], ...]
    entry_point: tuple[str, ...]
    command: tuple[str, ...]


@lru_cache
def contents(name: str) -> Contents:
    """Of an image and the images that it is built from. Raises `ImageError` for an unknown name."""
    folders: dict[PurePosixPath, Path] = {}
    entry_point: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    directory = PurePosixPath("/")
    for image in catalogue.lineage(name):
        for instruction, value in _instructions(image):
            match instruction:
                case "WORKDIR":
                    directory /= value
                case "ENTRYPOINT":
                    # Docker forgets the command of the parent.
                    entry_point, command = _words(value), ()
                case "CMD":
                    command = _words(value)
                case "COPY":
                    *sources, target = _copied(value)
                    for source in sources:
                        folders.update(_folders(image, source, directory / target))
    return Contents(folders=tuple(folders.items()), entry_point=entry_point, command=command)


def _instructions(name: str) -> tuple[tuple[str, str], ...]:
    dockerfile = content.folder_of(name) / "Dockerfile"
    if not dockerfile.is_file():  # An image that is only pulled.
        return ()
    build = catalogue.get(name).build
    return stages.instructions(stages.read(dockerfile.read_text()), build.target if build else None)


def _words(value: str) -> tuple[str, ...]:
    """A command, in the form of a list or of a line for the shell."""
    return tuple(json.loads(value)) if value.startswith("[") else ("/bin/sh", "-c", value)


def _copied(value: str) -> tuple[str, ...]:
    """The sources and the target; only the target if the sources are of another stage or image."""
    words = value.split()
    options = [word for word in words if word.startswith("--")]
    paths = value.split(maxsplit=len(options))[-1] if options else value
    names = _words(paths) if paths.startswith("[") else tuple(paths.split())
    return names[-1:] if any(option.startswith("--from") for option in options) else names


def _folders(name: str, source: str, target: PurePosixPath) -> Iterator[tuple[PurePosixPath, Path]]:
    """The folders that a COPY of `source` brings: the image's context has `sources` of the repository,
    and the folder of the Dockerfile."""
    for each in catalogue.get(name).sources:
        if CHECKOUT and (CHECKOUT / each).is_dir() and PurePosixPath(each).is_relative_to(source):
            yield target / PurePosixPath(each).relative_to(source), CHECKOUT / each
    own = content.folder_of(name) / source
    if own.is_dir():
        yield target, own.resolve()
