"""Secrets are files, read at each use, so that a rotated one counts from the next connection on."""

from pathlib import Path

from apps.common.errors import UnavailableError


def read(path: Path) -> str:
    """The content without the newline at its end. Raises `UnavailableError`: a missing file may be
    on its way."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise UnavailableError("secret", f"{path} cannot be read: {error.strerror}") from error
