"""Downloads that go on where they were interrupted, and archives that are unpacked only when their checksum holds."""

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
# Releases list their checksums as SHA-256, some older workflows as SHA-1: the length tells which.
_ALGORITHMS = {64: "sha256", 40: "sha1"}

Result = TypeVar("Result")
Report = Callable[[int, int | None], None]


def checksum_of(listing: str, name: str) -> str:
    """The checksum of one file in a `sha256sum` style listing."""
    for line in listing.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[1].removeprefix("*").removeprefix("./") == name:
            return fields[0].lower()
    raise SetupError(
        f"the release's list of checksums does not name {name}",
        "the release may have been withdrawn; STRATA_SOURCE=registries builds from pinned modules instead",
    )


def matches(path: Path, checksum: str) -> bool:
    """Whether the file has the checksum (SHA-256 or SHA-1, in hexadecimal)."""
    algorithm = _ALGORITHMS.get(len(checksum))
    if algorithm is None:
        raise ValueError(f"a checksum of {len(checksum)} characters is neither SHA-256 nor SHA-1")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == checksum.lower()


def read(url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> str:
    """The text at an address, tried again where the fault may pass."""
    return _retried(url, lambda: _get(url, timeout_seconds))


def fetch(
    url: str, target: Path, checksum: str, report: Report = lambda _done, _total: None
) -> None:
    """Brings a file, from where an earlier attempt stopped, and gives it its name only when its checksum holds."""
    if target.is_file() and matches(target, checksum):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    resumed = part.is_file()
    _retried(url, lambda: _append(url, part, report))
    if not matches(part, checksum):
        part.unlink()
        if resumed:
            # What lay there was of another file: from the start, once.
            fetch(url, target, checksum, report)
            return
        raise SetupError(
            f"what {url} gave does not have the checksum of the release ({checksum})",
            "do not use it; try again, and if it stays so, ask who runs the network or use STRATA_SOURCE=registries",
        )
    part.replace(target)


def _get(url: str, timeout_seconds: float) -> str:
    with urllib.request.urlopen(url, timeout=timeout_seconds) as response:  # noqa: S310 (our own https addresses)
        body: bytes = response.read()
    return body.decode()


def _append(url: str, part: Path, report: Report) -> None:
    """Adds what is missing of a file; raises where the connection ended early."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and have:
            return  # all of it is there: the checksum decides
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
            final = (
                isinstance(error, urllib.error.HTTPError) and error.code not in _TRANSIENT_STATUS
            )
            if final or not remaining:
                raise SetupError(
                    f"{url} could not be fetched: {error}",
                    "check the network and run the same command again (it goes on where it stopped), "
                    "or build from package registries with STRATA_SOURCE=registries",
                ) from error
            time.sleep(pause_seconds)
            pause_seconds *= 2
    raise AssertionError("unreachable: the last attempt returns or raises")
