"""Which steps are done. A stamp has the hash of all inputs of a step: a changed input runs the step again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from toolchain.files import holds, write


def digest(*inputs: str | Path) -> str:
    """Returns one hash of texts, files and folders (their names and contents, in order)."""
    total = hashlib.sha256()
    for part in inputs:
        if isinstance(part, str):
            total.update(b"text\0" + part.encode() + b"\0")
            continue
        for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if file.is_file():
                name = file.relative_to(part) if part.is_dir() else file.name
                total.update(b"file\0" + str(name).encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


class Stamp:
    """The stamp of one step."""

    def __init__(self, folder: Path, name: str, wanted: str, outputs: Iterable[Path]) -> None:
        self._path = folder / name
        self._wanted = wanted
        self._outputs = list(outputs)

    def valid(self) -> bool:
        """Whether the step finished with these inputs and its outputs exist."""
        return holds(self._path, self._wanted) and all(map(Path.exists, self._outputs))

    def set(self) -> None:
        write(self._path, self._wanted)
