"""The Docker engine: used if it answers, else installed and started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from strata import docker_engine
from strata.console import Step, step
from strata.errors import DockerError, SetupError
from toolchain import debian
from toolchain.files import write
from toolchain.layout import Layout
from toolchain.locks import is_running

START_LIMIT_SECONDS = 90.0
POLL_SECONDS = 0.1
STOP_LIMIT_SECONDS = 30.0
LAST_LINES = 10


def docker_host() -> str | None:
    """The address of the engine where it is not the default: DOCKER_HOST for programs that do not know contexts."""
    address = docker_engine.address()
    return None if address == docker_engine.DEFAULT_HOST else address


def check() -> bool:
    """Returns whether an engine answers. If none does, raises `DockerError` or `SetupError` unless `ensure` can install
    or start one."""
    try:
        docker_engine.connect()
        return True
    except DockerError:
        if docker_host() is not None or os.geteuid() != 0:
            raise
    if shutil.which("dockerd") is None and not debian.can_install():
        raise SetupError(
            "this machine has no Docker engine, and set-up installs one only on Debian",
            "install it: https://docs.docker.com/engine/install/",
        )
    return False


def ensure(layout: Layout) -> None:
    """Returns once an engine answers; installs and starts one on this machine, as root, if there is none."""
    if check():
        return
    if shutil.which("dockerd") is None:
        with step("Docker engine: installing the Debian package docker.io"):
            debian.install(layout, "docker.io", "iptables", "ca-certificates")
            # From Debian 13 on, the client is a package of its own.
            if shutil.which("docker") is None:
                debian.install(layout, "docker-cli")
    with step("Docker engine: starting it") as progress:
        _start(layout, progress)


def _start(layout: Layout, progress: Step) -> None:
    if Path("/run/systemd/system").is_dir():
        # Installing the package may have started it already.
        subprocess.run(["systemctl", "start", "docker"], check=False, capture_output=True)
        _wait(progress, alive=lambda: True, hint="`journalctl -u docker`")
        write(layout.docker / "started-by", "systemd\n")
        return
    log = layout.docker / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    # Before the wait: an interrupted set-up must still know that the engine is its own.
    write(layout.docker / "dockerd.pid", f"{process.pid}\n")
    _wait(progress, alive=lambda: process.poll() is None, hint=str(log), log=log)


def _wait(progress: Step, alive: Callable[[], bool], hint: str, log: Path | None = None) -> None:
    """Waits until the engine answers. Raises `SetupError` if it ends or the time is over."""
    while progress.seconds < START_LIMIT_SECONDS and alive():
        try:
            docker_engine.connect()
            return
        except DockerError:
            progress.update("waiting until it answers")
            time.sleep(POLL_SECONDS)
    last = "\n    ".join(log.read_text().splitlines()[-LAST_LINES:]) if log else ""
    raise SetupError(
        f"the Docker engine did not start in {progress.seconds:.0f} s\n    {last}".rstrip(),
        f"see {hint}; Docker can't run in an unprivileged container",
    )


def stop(layout: Layout) -> bool:
    """Stops the engine if this clone started it; returns whether it did."""
    if (layout.docker / "started-by").is_file():
        units = ["docker.socket", "docker"]
        subprocess.run(["systemctl", "stop", *units], check=False, capture_output=True)
        return True
    pid_file = layout.docker / "dockerd.pid"
    if not pid_file.is_file():
        return False
    pid = int(pid_file.read_text())
    if not is_running(pid, "dockerd"):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT_SECONDS
    while is_running(pid, "dockerd"):
        if time.monotonic() > deadline:
            raise SetupError(
                f"the Docker engine (process {pid}) did not stop in {STOP_LIMIT_SECONDS:.0f} s",
                f"see {layout.docker / 'dockerd.log'}, end the process, then run the same command again",
            )
        time.sleep(POLL_SECONDS)
    return True
