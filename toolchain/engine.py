"""The Docker engine: found where it answers, brought where that is ours to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import requests.exceptions

from toolchain import debian
from toolchain.errors import SetupError
from toolchain.files import write
from toolchain.layout import Layout
from toolchain.report import Progress, step

DEFAULT_HOST = "unix:///var/run/docker.sock"
SYSTEM_PID_FILE = Path("/var/run/docker.pid")
START_LIMIT_SECONDS = 90.0
POLL_SECONDS = 0.1
STOP_LIMIT_SECONDS = 30.0
PING_SECONDS = 10
LAST_LINES = 10


@dataclass(frozen=True)
class Answer:
    """How an engine answered: `problem` is None where it did."""

    problem: str | None
    permission_denied: bool = False


def host() -> str:
    """The address of the engine: DOCKER_HOST, else the one of the Docker client's current context, else the default."""
    named = os.environ.get("DOCKER_HOST")
    if named:
        return named
    client = shutil.which("docker")
    if client is not None and (Path.home() / ".docker" / "config.json").is_file():
        command = [client, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
        done = subprocess.run(command, text=True, capture_output=True, check=False)
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    return DEFAULT_HOST


def ask(address: str) -> Answer:
    try:
        client = docker.DockerClient(base_url=address, timeout=PING_SECONDS)
        client.ping()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        text = str(error)
        return Answer(
            text, permission_denied="Permission denied" in text or "PermissionError" in text
        )
    return Answer(None)


def ensure(layout: Layout) -> str:
    """The address of an engine that answers; installs and starts one where there is none and that is ours to do."""
    address = host()
    answer = ask(address)
    if answer.problem is None:
        return address
    if answer.permission_denied:
        raise SetupError(
            f"this user may not use the Docker engine at {address}",
            "add yourself to its group (`sudo usermod -aG docker $USER`, then log in again), or run as root",
        )
    if address != DEFAULT_HOST:
        raise SetupError(
            f"no Docker engine answers at {address}: {answer.problem}",
            "start it, or unset DOCKER_HOST (or choose another `docker context`) to use the local engine",
        )
    if os.geteuid() != 0:
        raise SetupError(
            f"no Docker engine answers at {address}",
            "start Docker (`sudo systemctl start docker`, or Docker Desktop), or install it: "
            "https://docs.docker.com/engine/install/",
        )
    if shutil.which("dockerd") is None:
        if not debian.can_install():
            raise SetupError(
                "there is no Docker engine on this machine, and it is not a Debian on which it could be installed",
                "install it: https://docs.docker.com/engine/install/",
            )
        with step("Docker engine: installing the Debian package docker.io"):
            packages = ["docker.io", "iptables", "ca-certificates"]
            debian.install(packages, layout.installed_packages, layout.logs / "apt.log")
            # From Debian 13 on, the client is a package of its own.
            if shutil.which("docker") is None:
                debian.install(["docker-cli"], layout.installed_packages, layout.logs / "apt.log")
    with step("Docker engine: starting it") as progress:
        _start(layout, address, progress)
    return address


def _start(layout: Layout, address: str, progress: Progress) -> None:
    if Path("/run/systemd/system").is_dir():
        # Installing the package may have started it already.
        subprocess.run(["systemctl", "start", "docker"], check=False, capture_output=True)
        _wait(address, progress, alive=lambda: True, log_hint="`journalctl -u docker`")
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
    _wait(address, progress, alive=lambda: process.poll() is None, log_hint=str(log), log=log)


def _wait(
    address: str,
    progress: Progress,
    alive: Callable[[], bool],
    log_hint: str,
    log: Path | None = None,
) -> None:
    """Waits until the engine answers; raises when it ended or the limit is over."""
    while progress.seconds < START_LIMIT_SECONDS and alive():
        if ask(address).problem is None:
            return
        progress.update("waiting until it answers")
        time.sleep(POLL_SECONDS)
    last = "\n    ".join(log.read_text().splitlines()[-LAST_LINES:]) if log else ""
    raise SetupError(
        f"the Docker engine did not come up at {address} in {progress.seconds:.0f} s\n    {last}".rstrip(),
        f"see {log_hint}; on a machine without the rights for it (a plain container) Docker cannot run",
    )


def stop(layout: Layout) -> bool:
    """Stops the engine if this clone started it; says whether it did."""
    if (layout.docker / "started-by").is_file():
        subprocess.run(
            ["systemctl", "stop", "docker.socket", "docker"], check=False, capture_output=True
        )
        return True
    pid_file = layout.docker / "dockerd.pid"
    if not pid_file.is_file():
        return False
    pid = int(pid_file.read_text())
    if not is_dockerd(pid):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_LIMIT_SECONDS
    while is_dockerd(pid):
        if time.monotonic() > deadline:
            raise SetupError(
                f"the Docker engine (process {pid}) did not stop in {STOP_LIMIT_SECONDS:.0f} s",
                f"see {layout.docker / 'dockerd.log'}, end the process, then run the same command again",
            )
        time.sleep(POLL_SECONDS)
    return True


def is_dockerd(pid: int) -> bool:
    """Whether the process lives and is a Docker engine: a number may have been given to another process by now."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    name, _, rest = state.partition("(")[2].rpartition(")")
    return name == "dockerd" and not rest.strip().startswith("Z")
