"""Runs a command and measures its wall time and the memory of all its processes."""

import os
import re
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from strata.errors import BenchmarkError

SAMPLE_SECONDS = 0.05
LIMIT_SECONDS = 600.0
GRACE_SECONDS = 20.0
"""How long an interrupted command may take to exit."""
LAST_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """`peak_memory_mib` is the sum of the peak resident sizes of all processes, so shared memory
    counts more than once; None without /proc."""

    seconds: float
    peak_memory_mib: float | None


Run = Callable[..., Measurement]
"""Measures a program with the arguments that it is called with."""


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios: other load on the machine affects both sides of a round."""
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def measure(
    program: Sequence[str],
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
) -> Measurement:
    """Runs a program with its output in `log`. Raises `BenchmarkError` if it fails."""
    command = [*program, *arguments]
    shown = " ".join([Path(command[0]).name, *command[1:]])
    with log.open("w") as output:
        begin = time.monotonic()
        # A new session, so that Ctrl-C reaches the command only through `_end`.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        memory = _Memory(process.pid)
        memory.start()
        try:
            status = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise BenchmarkError(
                f"{shown} did not end in {LIMIT_SECONDS:.0f} s{_tail(log)}"
            ) from None
        finally:
            seconds = time.monotonic() - begin
            memory.stop()
            _end(process)
    if status:
        raise BenchmarkError(f"{shown} ended with status {status}{_tail(log)}")
    return Measurement(seconds=seconds, peak_memory_mib=memory.peak_mib)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stops a running command and its child processes."""
    for each in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, each)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").rstrip().splitlines()[-LAST_LINES:]
    return "".join(f"\n    {line}" for line in lines)


class _Memory(threading.Thread):
    """Samples a process and its descendants until it is stopped. The kernel keeps each process's peak, so
    samples miss only what a process allocates right before it exits."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._peaks_kib: dict[int, int] = {}
        self._stopped = threading.Event()

    @property
    def peak_mib(self) -> float | None:
        return sum(self._peaks_kib.values()) / 1024 or None

    def run(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            for process in _tree(self._root):
                with suppress(OSError):  # It has ended.
                    status = Path(f"/proc/{process}/status").read_text()
                    # A process that is exiting has no such line.
                    if peak := re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE):
                        self._peaks_kib[process] = int(peak[1])

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _tree(root: int) -> list[int]:
    processes = [root]
    for process in processes:  # The list grows during the loop.
        for thread in Path(f"/proc/{process}/task").glob("*/children"):
            with suppress(OSError):  # The thread has ended.
                processes.extend(int(child) for child in thread.read_text().split())
    return processes
