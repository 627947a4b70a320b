"""What a person sees of set-up: one line a step, with what it does right now on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

# How often a long step says where it is, where there is no terminal (a log of continuous integration).
PLAIN_INTERVAL_SECONDS = 20.0

console = Console(highlight=False, soft_wrap=True)


class Progress:
    """Tells what a running step is doing."""

    def __init__(self, title: str, status: Status | None) -> None:
        self._title = title
        self._status = status
        self._begin = time.monotonic()
        self._said = self._begin

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def update(self, doing: str) -> None:
        if self._status is not None:
            self._status.update(
                f"{escape(self._title)}: [dim]{escape(doing)} ({self.seconds:.0f} s)[/dim]"
            )
        elif time.monotonic() - self._said >= PLAIN_INTERVAL_SECONDS:
            self._said = time.monotonic()
            console.print(f"    {escape(doing)} ({self.seconds:.0f} s)")


@contextmanager
def step(title: str) -> Iterator[Progress]:
    """A step that takes time: its title first, how long it took at the end."""
    if console.is_terminal:
        with console.status(escape(title)) as status:
            progress = Progress(title, status)
            yield progress
    else:
        console.print(f"==> {escape(title)}")
        progress = Progress(title, None)
        yield progress
    console.print(f"[green]✓[/green] {escape(title)} [dim]({progress.seconds:.1f} s)[/dim]")


def say(text: str) -> None:
    console.print(escape(text))


def heading(text: str) -> None:
    console.rule(escape(text), align="left")
