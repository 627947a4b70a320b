"""The manifest of a backup: its volumes, and the digests of their content."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from strata.errors import InvalidStackError, Problem, raise_problems

FILE_NAME = "manifest.json"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
# A name in the folder of the backup: a manifest can't point outside it.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Content(_Plain):
    """The content of a volume, however it is archived: see `ops.content.read`."""

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
    """`recipient`: the public key that the archives are encrypted for."""

    format: Literal[2] = 2
    project: str
    stack: str
    system: str
    created: AwareDatetime
    recipient: str
    archives: Annotated[tuple[Archive, ...], Field(min_length=1)]


def write(manifest: Manifest, folder: Path) -> None:
    """Writes the manifest, completely or not at all. With it, the folder is a backup."""
    partial = folder / f"{FILE_NAME}.partial"
    with partial.open("x", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / FILE_NAME)
    sync(folder)


def sync(folder: Path) -> None:
    """Flushes the names of the files in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises `InvalidStackError` if it is missing or was changed."""
    path = folder / FILE_NAME
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        fix = "choose the folder of a complete backup: a failed one has no manifest"
        problem = Problem(str(path), f"can't be read: {error.strerror}", fix)
        raise InvalidStackError([problem]) from None
    except ValidationError as error:
        raise InvalidStackError(
            Problem(
                f"{path}: {'.'.join(str(part) for part in detail['loc'])}".removesuffix(": "),
                detail["msg"][:1].lower() + detail["msg"][1:],
                "use an unchanged backup of this version",
            )
            for detail in error.errors(include_input=False, include_url=False)
        ) from None
    volumes = Counter((archive.service, archive.volume) for archive in manifest.archives)
    files = Counter(archive.file for archive in manifest.archives)
    raise_problems(
        Problem(f"{path}: {archive.file}", "is listed twice", "use an unchanged backup")
        for archive in manifest.archives
        if volumes[archive.service, archive.volume] > 1 or files[archive.file] > 1
    )
    return manifest


def archive_name(service: str, volume: str) -> str:
    """The file of a volume. Neither name contains a dot, so no two volumes share a file."""
    return f"{service}.{volume}.tar.gz.age"
