"""The processes of a control plane: started on loopback, ended whatever happens, their logs kept for a failure."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from toolchain.layout import here
from toolchain.registries import control_plane

STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOG_SHOWN = 3000  # characters of each log, from its end

_LIBC = ctypes.CDLL(None)


@dataclass
class Processes:
    """Programs that run together; each writes to a log of its own in `folder`."""

    folder: Path
    _stack: contextlib.ExitStack
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *options: str) -> None:
        """Starts a program of .toolchain/lib/kubernetes. It reads no settings of whoever runs the tests."""
        path = control_plane.programs(here())[name]
        log = self._stack.enter_context(self._log(name).open("wb"))
        settings = {**os.environ, "HOME": str(self.folder), "KWOK_WORKDIR": str(self.folder)}
        self._running[name] = self._stack.enter_context(
            _running([str(path), *options], settings, log.fileno())
        )

    def ended(self) -> list[str]:
        """The names of those that ended by themselves."""
        return [name for name, one in self._running.items() if one.poll() is not None]

    def logs(self) -> str:
        """What each said last."""
        return "\n".join(
            f"--- {name}\n{self._log(name).read_text(errors='replace')[-LOG_SHOWN:]}"
            for name in self._running
        )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@contextlib.contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """Ends what was started in it, the last one first."""
    missing = [name for name, path in control_plane.programs(here()).items() if not path.is_file()]
    if missing:
        pytest.fail(f"{' and '.join(missing)} not built: run `make test LAYER=kubernetes`")
    with contextlib.ExitStack() as stack:
        yield Processes(folder, stack)


@contextlib.contextmanager
def _running(
    command: list[str], settings: dict[str, str], log: int
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=settings,
        preexec_fn=_end_with_parent,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _end_with_parent() -> None:
    """Has the kernel end this process where the tests are killed and end nothing themselves."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def write_key(file: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def new_token() -> str:
    return secrets.token_hex(16)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody has right now; a server that finds one taken meanwhile says so in its log."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found
