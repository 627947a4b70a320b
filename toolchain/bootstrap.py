"""Creates the Python environments from hashed locks: `python3 toolchain/bootstrap.py docker|eks|test`.

`docker` and `eks` are the environment of the Pulumi program, `.toolchain/venv`: `eks` adds the SDKs of AWS and
Kubernetes. `test` is `.toolchain/venv-test`, for tests and development. An interrupted run is resumed by the next.

Uses only the standard library: it runs before there is an environment.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolchain.layout import Layout

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

OLDEST_PYTHON = (3, 11)
LAST_LINES = 20
LOCKS = {"docker": ("docker",), "eks": ("eks",), "test": ("test", "weights")}
PROGRAM = ("docker", "eks")


def ensure_new_enough() -> None:
    """Restarts under a newer Python if this one is too old."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 (no shell is wanted)
    sys.exit(
        f"error: Python {sys.version.split()[0]} at {sys.executable} is too old: at least "
        f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} is needed.\n"
        "  What to do: install a newer Python as python3.11 or higher on the PATH"
    )


def identity(locks: list[Path], folder: Path) -> str:
    """Returns a hash of the locks, the Python and the folder: a virtual environment can't be moved."""
    parts = [
        *(lock.read_bytes() for lock in locks),
        sys.version.encode(),
        sys.base_prefix.encode(),
        str(folder).encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def make_environment(group: str) -> None:
    """Creates the environment of a group, or adds the group to it. Does nothing if it's there."""
    from toolchain.files import holds, write
    from toolchain.layout import here

    layout = here()
    folder = layout.venv if group in PROGRAM else layout.test_venv
    locks = {
        name: [layout.root / "toolchain" / "requirements" / f"{lock}.lock" for lock in LOCKS[name]]
        for name in (PROGRAM if group in PROGRAM else (group,))
    }
    # Over all locks of the environment: none keeps a package that was removed from one.
    wanted = identity([lock for group_locks in locks.values() for lock in group_locks], folder)
    created, finished = folder / "strata-created", folder / f"strata-{group}"
    if holds(finished, wanted):
        return

    begin = time.monotonic()
    lines = [line for lock in locks[group] for line in lock.read_text().splitlines()]
    count = sum("==" in line and not line.startswith(" ") for line in lines)
    print(f"==> Python environment ({group}): {count} packages from a hashed lock", flush=True)
    log = layout.logs / f"python-{group}.log"
    if not holds(created, wanted):
        if importlib.util.find_spec("ensurepip") is None:  # a package of its own on Debian
            _install_ensurepip(layout)
        if folder.is_symlink():
            folder.unlink()  # `--clear` would empty its target, which isn't ours
        # If `.toolchain/env` is sourced, this interpreter is the one in the folder to clear.
        base = getattr(sys, "_base_executable", None) or sys.executable
        run([base, "-m", "venv", "--clear", str(folder)], log, "creating the virtual environment")
        write(created, wanted)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--no-input", "--retries", "5"]
    # The locks are complete: pip resolves nothing.
    command += ["--no-deps", "--require-hashes", *([] if group == "docker" else ["--no-compile"])]
    for lock in locks[group]:
        command += ["--requirement", str(lock)]
    environment = {
        "PIP_CACHE_DIR": str(layout.folder / "cache" / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    run(command, log, "installing the packages", environment)
    # A shell may set PYTHONDONTWRITEBYTECODE, and compile at each run what isn't compiled here. compileall doesn't
    # follow the links in `strata`.
    settings = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(layout.root)}
    program = [str(layout.root / name) for name in ("strata", "components", "systems")]
    compile_program = [python, "-m", "compileall", "-q", *program]
    run(compile_program, log, "compiling the program", settings)
    if group != "docker":
        # The SDKs have thousands of modules, of which a program imports a few.
        run([python, "-c", "import strata.platforms.eks"], log, "compiling the SDKs", settings)
    write(finished, wanted)
    print(f"    ready in {time.monotonic() - begin:.0f} s", flush=True)


def _install_ensurepip(layout: Layout) -> None:
    from strata.errors import SetupError
    from toolchain import debian

    if not debian.can_install():
        raise SetupError(
            "this Python can't create virtual environments: it has no `ensurepip`",
            "install it (on Debian: apt-get install python3-venv)",
        )
    print("    installing the Debian package python3-venv", flush=True)
    debian.install(layout, "python3-venv")


def run(command: list[str], log: Path, doing: str, extra: dict[str, str] | None = None) -> None:
    """Runs a command with its output in the log, and shows the package that pip works on."""
    from strata.errors import SetupError

    def show_package(line: str) -> None:
        if line.startswith(("Collecting ", "Installing collected")):
            show(line.split(" (from")[0].strip())

    status, last = run_logged(command, log, show_package, env={**os.environ, **(extra or {})})
    show("")
    if status:
        raise SetupError(
            f"{doing} failed:\n    {last}",
            f"see {log}; check that this machine reaches PyPI (or configure pip), then run the command again",
        )


def run_logged(
    command: list[str], log: Path, on_line: Callable[[str], None], **options: Any
) -> tuple[int, str]:
    """Runs a command with its output in the log. Returns its status and its last lines, indented."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        process: subprocess.Popen[str] = subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        )
        for line in process.stdout or ():
            file.write(line)
            last.append(line.rstrip())
            on_line(line)
        return process.wait(), "\n    ".join(last)


def show(text: str) -> None:
    """Overwrites one line of the terminal, if there is one."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 5
        print(f"\r\033[K    {text[:width]}" if text else "\r\033[K", end="", flush=True)


if __name__ == "__main__":
    ensure_new_enough()
    from strata.errors import exit_on_error

    with exit_on_error("Interrupted. Run the same command again to resume."):
        make_environment(sys.argv[1])
