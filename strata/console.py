"""Progress and reports on stdout: live lines on a terminal, plain lines elsewhere.

Rich is imported only when there is a terminal, so that commands start fast.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

MB = 1_000_000
PLAIN_INTERVAL_SECONDS = 20.0
"""How often a long step reports its state without a terminal, in a CI log for example."""

_lock = threading.RLock()
_display: Progress | None = None
"""The live lines of all steps that run now. There is one: a terminal has one cursor."""


def info(text: str) -> None:
    """Prints a line."""
    with _lock:
        if _display is None:
            print(text, flush=True)
        else:
            _display.console.print(text, markup=False, highlight=False, soft_wrap=True)


def heading(text: str) -> None:
    info(f"\n── {text} " + "─" * max(0, 76 - len(text)))


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows as lines, with aligned columns. All rows have the same number of cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def watch(frames: Iterable[Iterable[str]]) -> None:
    """Shows each frame of lines in place of the one before on a terminal, else below it, with an empty
    line between them."""
    if not sys.stdout.isatty():
        for frame in frames:
            for line in frame:
                info(line)
            info("")
        return
    from rich.live import Live
    from rich.text import Text

    with Live(screen=True, auto_refresh=False) as live:
        for frame in frames:
            text = Text("\n".join(frame), no_wrap=True, overflow="crop")
            live.update(text, refresh=True)


class Step:
    """Something that takes time. Steps may run at the same time, in several threads."""

    def __init__(self, title: str, total_bytes: int | None = None) -> None:
        self._title = title
        self._total_bytes = total_bytes
        self._task: TaskID | None = None
        self._begin = self._updated = time.monotonic()
        self.done_bytes = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def update(self, state: str) -> None:
        """Shows what the step does now."""
        with _lock:
            if _display is not None and self._task is not None:
                _display.update(self._task, state=state, completed=self.done_bytes)
            elif time.monotonic() - self._updated >= PLAIN_INTERVAL_SECONDS:
                self._updated = time.monotonic()
                info(f"    {self._title}: {state} ({self.seconds:.0f} s)")

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks; shows how many bytes passed."""
        for chunk in chunks:
            self.done_bytes += len(chunk)
            self.update(self._size())
            yield chunk

    def _size(self) -> str:
        total = f" of {self._total_bytes / MB:.1f}" if self._total_bytes else ""
        return f"{self.done_bytes / MB:.1f}{total} MB"

    def begin(self) -> None:
        global _display
        with _lock:
            if not sys.stdout.isatty():
                info(f"==> {self._title}")
                return
            if _display is None:
                _display = _new_display()
                _display.start()
            self._task = _display.add_task(self._title, state="")

    def end(self, *, succeeded: bool) -> None:
        """Removes the live line; prints the title and the time if the step succeeded."""
        global _display
        with _lock:
            if _display is not None and self._task is not None:
                _display.remove_task(self._task)
                if not _display.tasks:
                    _display.stop()
                    _display = None
            if succeeded:
                size = f"{self._size()}, " if self.done_bytes else ""
                info(f"✓ {self._title} ({size}{self.seconds:.1f} s)")


@contextmanager
def step(title: str, total_bytes: int | None = None) -> Iterator[Step]:
    """Shows a step while it runs, and a line with its time once it succeeded."""
    started = Step(title, total_bytes)
    started.begin()
    try:
        yield started
    except BaseException:
        started.end(succeeded=False)
        raise
    started.end(succeeded=True)


class Steps:
    """Steps by name, for work that reports its state by a callback, from several threads."""

    def __init__(self, action: str) -> None:
        self._action = action
        self._running: dict[str, Step] = {}

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            for unfinished in self._running.values():
                unfinished.end(succeeded=False)

    def update(self, name: str, state: str) -> None:
        """Begins a step or shows what it does now; an empty state ends it."""
        with _lock:
            if name not in self._running:
                self._running[name] = Step(f"{self._action} {name}")
                self._running[name].begin()
            if state:
                self._running[name].update(state)
            else:
                self._running.pop(name).end(succeeded=True)


def _new_display() -> Progress:
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    state = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TextColumn("{task.fields[state]}", markup=False, style="dim", table_column=state),
        TimeElapsedColumn(),
        expand=True,
        transient=True,
    )
