"""Edits of upstream sources that are compiled here.

Each names the exact text it replaces and fails if that text is not there, so a new version of the sources can't
silently drop one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from strata.errors import SetupError


@dataclass(frozen=True)
class Edit:
    file: str
    old: str
    new: str


def apply(edits: tuple[Edit, ...], folder: Path, where: str) -> None:
    """Makes the edits, which are in the file `where`. Raises `SetupError` if a text to replace isn't there exactly
    once."""
    for edit in edits:
        path = folder / edit.file
        text = path.read_text()
        times = text.count(edit.old)
        if times != 1:
            raise SetupError(
                f"{edit.file} of the upstream provider contains {edit.old!r} {times} times, not once",
                f"adapt EDITS in {where} to the new version of that file",
            )
        path.write_text(text.replace(edit.old, edit.new))
