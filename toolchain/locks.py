"""Removes what a killed `pulumi` leaves in the local state and Pulumi itself trips over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path


def remove_stale(state: Path) -> tuple[list[int], bool]:
    """Removes the locks of killed runs and, unless a run is going on, empty files of attributes.

    A lock on the local state has no lease: Pulumi fails until somebody removes it. It is stale if it was set on this
    host by a process that ended. Returns the ids of these processes, and whether another lock is left.
    """
    folder, host, killed, held = state / ".pulumi", os.uname().nodename, [], False
    for lock in folder.glob("locks/*/*/*/*.json"):
        try:
            holder = json.loads(lock.read_text())
            stale = holder["hostname"] == host and not is_running(int(holder["pid"]), "pulumi")
        except FileNotFoundError:
            continue  # its run just ended
        except (ValueError, KeyError, TypeError):
            stale = False
        if stale:
            lock.unlink(missing_ok=True)
            lock.with_name(f"{lock.name}.attrs").unlink(missing_ok=True)
            killed.append(int(holder["pid"]))
        held = held or not stale
    if not held:
        # Pulumi doesn't write them atomically. An empty one makes the state unreadable; a missing one doesn't.
        for attributes in folder.glob("stacks/*/*.attrs"):
            if not attributes.stat().st_size:
                attributes.unlink()
    return killed, held


def end_orphans(folder: Path) -> list[int]:
    """Ends the plugins and language hosts below a folder whose engine is gone, and returns their ids.

    The official ones notice after minutes, and meanwhile go on with what they were told. Linux only: elsewhere, nothing
    is ended.
    """
    ended = []
    for pid, engine in _plugins(folder.resolve()):
        if not _listens(engine):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it just ended
            ended.append(pid)
    return ended


def _plugins(folder: Path) -> Iterator[tuple[int, tuple[str, int]]]:
    """The running plugins and language hosts, and where the engine of each listens."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, *arguments = (process / "cmdline").read_text().split("\0")
            own = (process / "exe").resolve().is_relative_to(folder)
        except (OSError, UnicodeDecodeError):
            continue  # ended, or of another user
        if not own or not Path(command).name.startswith(("pulumi-resource-", "pulumi-language-")):
            continue
        # Its arguments are options and the address of the engine.
        for argument in arguments:
            host, _, port = argument.rpartition(":")
            if host == "127.0.0.1" and port.isdigit():
                yield int(process.name), (host, int(port))


def _listens(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=1):
            return True
    except OSError:
        return False


def is_running(pid: int, program: str) -> bool:
    """Whether the process runs, and runs this program: its number may belong to another process by now."""
    process = Path("/proc") / str(pid)
    if Path("/proc/self").exists():
        try:
            # A killed process that nobody has waited for has a name but no command line.
            name, line = (process / "comm").read_text().strip(), (process / "cmdline").read_bytes()
        except OSError:
            return False
        return name == program and bool(line.strip(b"\0"))
    command = ["ps", "-p", str(pid), "-o", "comm="]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return Path(done.stdout.strip()).name == program
