"""Downloads that resume after an interruption and are verified against a checksum."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from strata.errors import SetupError

ATTEMPTS = 5
TIMEOUT_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 1.0
CHUNK_BYTES = 1 << 18
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)
# Releases publish SHA-256 checksums, some older workflows SHA-1. They differ in length.
_ALGORITHMS = {64: "sha256", 40: "sha1"}

Result = TypeVar("Result")
Report = Callable[[int, int | None], None]


def checksum_of(listing: str, name: str) -> str:
    """Returns the checksum of one file from a listing in the format of `sha256sum`."""
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[1].removeprefix("*").removeprefix("./") == name:
            return fields[0].lower()
    raise SetupError(
        f"{name}: missing in the release's list of checksums",
        "build from pinned modules instead with STRATA_SOURCE=registries: the release may have been withdrawn",
    )


def matches(path: Path, checksum: str) -> bool:
    """Whether the file has the checksum (SHA-256 or SHA-1, in hexadecimal)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, _ALGORITHMS[len(checksum)]).hexdigest() == checksum.lower()


def read(url: str) -> str:
    """Returns the text at a URL. Retries transient errors."""

    def get() -> str:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 (our own https addresses)
            return str(response.read(), "utf-8")

    return _retried(url, get)


def fetch(
    url: str, target: Path, checksum: str, report: Report = lambda _done, _total: None
) -> None:
    """Downloads a file, resuming an earlier attempt. It gets its name only after its checksum is verified."""
    if target.is_file() and matches(target, checksum):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    resumed = part.is_file()
    _retried(url, lambda: _append(url, part, report))
    if not matches(part, checksum):
        part.unlink()
        if resumed:
            # The earlier attempt was of another file: download it from the start, once.
            fetch(url, target, checksum, report)
            return
        raise SetupError(
            f"{url}: the file doesn't have the release's checksum ({checksum})",
            "run the same command again; if it fails again, ask your network's administrator or use "
            "STRATA_SOURCE=registries",
        )
    part.replace(target)


def _append(url: str, part: Path, report: Report) -> None:
    """Downloads the rest of a file. Raises if the connection ends early."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            return  # it's complete: the checksum is verified next
        raise
    with response:
        continued = response.status == _PARTIAL_CONTENT
        have = have if continued else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with part.open("ab" if continued else "wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                report(have, total)
    if total is not None and have < total:
        raise http.client.IncompleteRead(b"", total - have)


def _retried(url: str, attempt: Callable[[], Result]) -> Result:
    pause_seconds = FIRST_PAUSE_SECONDS
    for remaining in reversed(range(ATTEMPTS)):
        try:
            return attempt()
        except (OSError, http.client.HTTPException) as error:
            status = error.code if isinstance(error, urllib.error.HTTPError) else None
            final = status is not None and status not in _TRANSIENT_STATUS
            if final or not remaining:
                raise SetupError(
                    f"{url}: the download failed: {error}",
                    "check the network and run the same command again (it resumes where it stopped), "
                    "or build from package registries with STRATA_SOURCE=registries",
                ) from error
            time.sleep(pause_seconds)
            pause_seconds *= 2
    raise AssertionError("unreachable: the last attempt returns or raises")
