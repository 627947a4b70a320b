"""The digest of a volume's content: equal for two copies of it."""

import hashlib
import json
import tarfile
from collections.abc import Iterable
from io import BufferedReader
from typing import IO, cast

from strata.errors import OpsError
from strata.ops.manifest import Content

ROOT = "strata-backup"
"""The top folder of every archive."""
CHUNK_BYTES = 1024 * 1024


class _Chunks:
    """The pieces of a stream, as `tarfile` reads them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)

    def read(self, _size: int) -> bytes:
        return next(self._chunks, b"")


def read(chunks: Iterable[bytes]) -> Content:
    """Reads a tar to its end. The digest covers the sorted entries: path, kind, mode, owners, and
    the digest of a file or the target of a link. It omits times: a restore gives a folder that it
    fills a new one.
    """
    stream = _Chunks(chunks)
    entries: list[str] = []
    size_bytes = 0
    try:
        # "r|" reads forward only, so that a volume may be larger than memory.
        file = cast("IO[bytes]", stream)  # tarfile calls nothing but `read`.
        with tarfile.open(mode="r|", fileobj=file, bufsize=CHUNK_BYTES) as tar:
            for member in tar:
                entries.append(json.dumps([_path(member.name), *_facts(tar, member)]))
                size_bytes += member.size if member.isreg() else 0
                # It keeps every member that it read, which grows with the volume.
                tar.members = []  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        raise OpsError(f"the volume was not read to its end: {error}") from None
    while stream.read(CHUNK_BYTES):  # The padding: the caller writes the stream to a file.
        pass
    digest = hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()
    return Content(sha256=digest, entries=len(entries), bytes=size_bytes)


def _path(name: str) -> str:
    if name != ROOT and not name.startswith(f"{ROOT}/"):
        raise OpsError(f"the archive holds {name}, which is outside {ROOT}")
    return name.removeprefix(ROOT).removeprefix("/")


def _facts(tar: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, int, int, int, str]:
    common = (member.mode, member.uid, member.gid)
    if member.isreg():
        return ("file", *common, _digest(tar, member))
    if member.islnk():
        return ("same", *common, _path(member.linkname))
    if member.issym():
        return ("link", *common, member.linkname)
    if member.isdir():
        return ("folder", *common, "")
    # A named pipe or a device has no content.
    return (f"type {member.type!r}", *common, f"{member.devmajor}:{member.devminor}")


def _digest(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    # Not None, because it is a regular file. Content that is cut off raises a TarError.
    file = cast("BufferedReader", tar.extractfile(member))
    return hashlib.file_digest(file, "sha256").hexdigest()
