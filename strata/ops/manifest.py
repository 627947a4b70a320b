"""What a backup says of itself: which volumes it holds, and what is in them."""

import os
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from strata.model import InvalidStackError, Problem, raise_problems

FILE_NAME = "manifest.json"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
# One name in the folder of the backup: a manifest never leads out of it.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Content(_Plain):
    """What is in a volume, whatever the archive looks like: see `ops.content.read`."""

    sha256: Sha256
    entries: Count
    bytes: Count


class Archive(_Plain):
    """One volume. `volume` is its name within the service; `engine` is the logical image that
    wrote it, `image` the very image, `user` the `uid:gid` it ran as; `bytes` and `sha256` are
    those of the archive file."""

    service: str
    volume: str
    engine: str
    image: str
    user: str
    file: FileName
    bytes: Count
    sha256: Sha256
    content: Content


class Manifest(_Plain):
    format: Literal[1] = 1
    project: str
    stack: str
    system: str
    created: AwareDatetime
    archives: Annotated[tuple[Archive, ...], Field(min_length=1)]


def write(manifest: Manifest, folder: Path) -> None:
    """Writes the manifest, which makes the folder a backup: whole, or not at all."""
    partial = folder / f"{FILE_NAME}.partial"
    with partial.open("x", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / FILE_NAME)
    sync(folder)


def sync(folder: Path) -> None:
    """Brings the names of the files in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises `InvalidStackError` where there is none, or none to trust."""
    path = folder / FILE_NAME
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidStackError(
            [
                Problem(
                    str(path),
                    f"cannot be read: {error.strerror}",
                    "name the folder of a whole backup: one that was broken off has no manifest",
                )
            ]
        ) from None
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise InvalidStackError(
            Problem(
                f"{path}: {'.'.join(str(part) for part in one['loc'])}".removesuffix(": "),
                one["msg"][:1].lower() + one["msg"][1:],
                "use a backup that this version made and nobody changed",
            )
            for one in found
        ) from None
    places = Counter((one.service, one.volume) for one in manifest.archives)
    files = Counter(one.file for one in manifest.archives)
    raise_problems(
        Problem(f"{path}: {one.file}", "is there twice", "use a backup that nobody changed")
        for one in manifest.archives
        if places[one.service, one.volume] > 1 or files[one.file] > 1
    )
    return manifest


def archive_name(service: str, volume: str) -> str:
    """A dot is in neither of the names, so no two volumes share a file."""
    return f"{service}.{volume}.tar.gz"


def when(created: datetime) -> str:
    return created.strftime("%Y-%m-%d %H:%M:%S UTC")
