"""Runs a command and measures it: wall time, and the memory of all its processes."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strata.errors import BenchmarkError

SAMPLE_SECONDS = 0.05
LIMIT_SECONDS = 600.0
GRACE_SECONDS = 20.0
"""How long an interrupted command may take to end by itself."""
LAST_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """`peak_memory_mib` adds up the largest resident size of each process that took part, so memory
    that two of them share counts twice; None where the system has no /proc."""

    seconds: float
    peak_memory_mib: float | None


def measure(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path
) -> Measurement:
    """Runs a command to its end, its output going to `log`. Raises `BenchmarkError` where it fails."""
    with log.open("w") as output:
        begin = time.monotonic()
        # A session of its own: Ctrl-C reaches the command through us, once.
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
                f"{_shown(command)} did not end in {LIMIT_SECONDS:.0f} s{_tail(log)}"
            ) from None
        finally:
            seconds = time.monotonic() - begin
            memory.stop()
            _end(process)
    if status:
        raise BenchmarkError(f"{_shown(command)} ended with status {status}{_tail(log)}")
    return Measurement(seconds=seconds, peak_memory_mib=memory.peak_mib)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a command that is still there, with the processes it started."""
    if process.poll() is not None:
        return
    for each in (signal.SIGINT, signal.SIGKILL):
        os.killpg(process.pid, each)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def _shown(command: Sequence[str]) -> str:
    return " ".join([Path(command[0]).name, *command[1:]])


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").rstrip().splitlines()[-LAST_LINES:]
    return "".join(f"\n    {line}" for line in lines)


class _Memory(threading.Thread):
    """Looks at a process and its descendants until it is stopped.

    The kernel keeps each process's own peak, so a look now and then misses only what was taken in
    the last moments before an end.
    """

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
                peak = _peak_kib(process)
                if peak is not None:
                    self._peaks_kib[process] = peak

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def _tree(root: int) -> list[int]:
    processes = [root]
    for process in processes:  # It grows as the loop adds children.
        for thread in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                processes.extend(int(child) for child in thread.read_text().split())
            except OSError:  # The thread has ended.
                continue
    return processes


def _peak_kib(process: int) -> int | None:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    # "VmHWM:    12345 kB"; a process that is ending has no such line.
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return None
