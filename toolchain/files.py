"""Writes files and folders atomically. Uses only the standard library: the bootstrap imports it."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

SECRET_BYTES = 32


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a temporary file and renames it: readers see the old text or the new, even after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def ensure_secret(path: Path) -> None:
    """Creates a random secret. Never replaces it: the state couldn't be read any more."""
    if not path.is_file() or not path.read_text().strip():
        write(path, secrets.token_hex(SECRET_BYTES) + "\n", 0o600)


def replace_folder(new: Path, target: Path) -> None:
    """Replaces a folder by a finished one. The gap is two renames wide, and the stamp is set after it."""
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
