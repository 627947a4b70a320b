"""Waiting longer after each failure, so that what comes back is not met by everyone at once."""

import random


class Backoff:
    """Delays in seconds: they double from `first_s` to `longest_s`, each with up to a quarter taken
    off at random."""

    def __init__(self, first_s: float = 0.1, longest_s: float = 5.0) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """The delay before the next try."""
        delay_s = self._next_s
        self._next_s = min(self._next_s * 2, self._longest_s)
        return delay_s * (1 - random.random() / 4)  # noqa: S311  (no secret: it spreads retries)

    def reset(self) -> None:
        """Called after a success."""
        self._next_s = self._first_s
