"""What a person sees while a command works."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

MB = 1_000_000


class Report:
    """Lines that stay, and a bar for the step at work where there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Progress | None = None

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    @contextmanager
    def step(self, text: str, total_bytes: int | None = None) -> Iterator["Step"]:
        """A step that takes a while. Its line is printed when it is through."""
        started = time.monotonic()
        columns = (
            TextColumn("  {task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        ) as bar:
            step = Step(bar, bar.add_task(text, total=total_bytes))
            yield step
        size = f"{step.done_bytes / MB:.1f} MB, " if step.done_bytes else ""
        self.say(f"  {text} ({size}{time.monotonic() - started:.1f} s)")


class Step:
    def __init__(self, bar: Progress, task: "int") -> None:
        self._bar = bar
        self._task = task
        self.done_bytes = 0

    def count(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The same chunks, counted as they pass."""
        for chunk in chunks:
            self.done_bytes += len(chunk)
            self._bar.update(self._task, completed=self.done_bytes)  # type: ignore[arg-type]
            yield chunk
