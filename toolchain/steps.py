"""The steps of set-up. Each is skipped if it is done."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from strata.console import step
from strata.errors import SetupError
from toolchain import debian, engine, plugins, registries, releases, source, stack
from toolchain.files import holds, write
from toolchain.layout import DEV, Layout, process_environment, shell_file
from toolchain.registries import golang

IMAGES = ["-m", "strata", "images", "build"]
TEST_ENVIRONMENT = ["toolchain/bootstrap.py", "test"]
TESTS_WITHOUT_STACKS = ["-m", "toolchain", "test-without-stacks"]


@dataclass(frozen=True)
class Ready:
    """The result of set-up: the source of the parts, and the environment that commands run in."""

    source: str
    environment: dict[str, str]


def ensure(layout: Layout, name: str = DEV) -> Ready:
    """Installs what `pulumi up` of a stack needs, except images. Only a stack on Docker needs a Docker engine."""
    on_docker = stack.on_docker(layout, name)
    if on_docker:
        engine.check()  # The CLI and the plugin take minutes to build.
    chosen = source.choose(layout)
    with golang.caches(layout):
        if chosen == source.OFFICIAL:
            releases.install_cli(layout)
        else:
            registries.install_cli(layout)
        # The official language host requires the plugin of every SDK, and Docker's is always installed.
        if on_docker or chosen == source.OFFICIAL:
            plugins.ensure(layout, chosen, "docker")
    if not on_docker:
        plugins.ensure_cluster(layout, chosen)
    source.remember(layout, chosen)
    _install_commands(layout)
    if on_docker:
        ensure_engine(layout, chosen)
    docker_host = engine.docker_host()
    write(layout.environment_file, shell_file(layout, chosen, docker_host), 0o644)
    environment = process_environment(layout, chosen, docker_host)
    stack.ensure(layout, environment, name)
    return Ready(chosen, environment)


def ensure_engine(layout: Layout, chosen: str) -> None:
    """Returns once a Docker engine can build the images."""
    engine.ensure(layout)
    if chosen == source.REGISTRIES:
        _install_mmdebstrap(layout)


def build_images(layout: Layout, ready: Ready) -> None:
    command = [sys.executable, *IMAGES]
    ended = subprocess.run(command, cwd=layout.root, env=ready.environment, check=False)
    _check(IMAGES, ended.returncode)


@contextmanager
def background(
    layout: Layout, command: list[str], environment: dict[str, str], *, niceness: int = 0
) -> Iterator[None]:
    """Runs a Python program while the block runs: one of them waits for the network or for health checks, the other
    one needs the processor. `niceness` is that of nice(1)."""
    log = layout.logs / "background.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        process = subprocess.Popen(
            ["nice", "-n", str(niceness), sys.executable, *command],
            cwd=layout.root,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        except BaseException:
            process.terminate()
            raise
        if process.poll() is None:
            with step(f"Waiting for `{' '.join(command)}`"):
                process.wait()
    print(log.read_text(), end="", flush=True)
    _check(command, process.returncode)


def _check(command: list[str], status: int) -> None:
    if status:
        raise SetupError(
            f"`{' '.join(command)}` ended with status {status}",
            "fix what its message above says, then run the same command again: it resumes where it stopped",
        )


def _install_commands(layout: Layout) -> None:
    for name in ("pulumi", "strata"):
        text = (layout.root / "toolchain" / f"{name}-wrapper.sh").read_text()
        target = layout.bin / name
        if not holds(target, text):
            write(target, text, 0o755)


def _install_mmdebstrap(layout: Layout) -> None:
    """Installs the tool that builds the base image from Debian packages if no image registry is reachable."""
    if shutil.which("mmdebstrap") is not None:
        return
    if not debian.can_install():
        raise SetupError(
            "`mmdebstrap`, which builds the base image, is not on the PATH",
            "install it (on Debian: apt-get install mmdebstrap), or use a machine that reaches an image registry",
        )
    with step("Base image: installing the Debian package mmdebstrap"):
        debian.install(layout, "mmdebstrap")
