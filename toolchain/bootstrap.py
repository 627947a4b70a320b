"""Makes a virtual environment from a hashed lock: `python3 toolchain/bootstrap.py base|test|clouds`.

It runs before there is any environment, so it uses the standard library only. It takes milliseconds when there is
nothing to do, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

OLDEST_PYTHON = (3, 11)
LAST_LINES = 15
# The locks that make up each environment.
GROUPS = {"base": ("base",), "test": ("test", "weights"), "clouds": ("clouds",)}


def ensure_new_enough() -> None:
    """Goes on under a newer Python where this one is too old and one is there."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])  # noqa: S606 (no shell is wanted)
    sys.exit(
        f"error: Python {sys.version.split()[0]} at {sys.executable} is too old: at least "
        f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} is needed.\n"
        "    install a newer Python; one named python3.11 or higher on the PATH is used"
    )


def identity(locks: list[Path], folder: Path) -> str:
    """Changes with the lock, with the Python, and with the place: a virtual environment cannot be moved."""
    parts = [
        *(lock.read_bytes() for lock in locks),
        sys.version.encode(),
        sys.base_prefix.encode(),
        str(folder).encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def make_environment(group: str) -> None:
    from strata.errors import SetupError
    from toolchain import debian
    from toolchain.files import write
    from toolchain.layout import here

    layout = here()
    locks = [layout.root / "toolchain" / "requirements" / f"{name}.lock" for name in GROUPS[group]]
    folder = {"base": layout.venv, "test": layout.test_venv, "clouds": layout.clouds_venv}[group]
    log = layout.logs / f"python-{group}.log"
    wanted = identity(locks, folder)
    finished, started = folder / "strata-installed", folder / "strata-installing"
    if finished.is_file() and finished.read_text() == wanted:
        return

    begin = time.monotonic()
    count = sum(
        1
        for lock in locks
        for line in lock.read_text().splitlines()
        if "==" in line and not line.startswith(" ")
    )
    print(
        f"==> Python environment ({group}): about {count} packages from a hashed lock", flush=True
    )
    log.parent.mkdir(parents=True, exist_ok=True)
    if not (started.is_file() and started.read_text() == wanted):
        if sysconfig.get_config_var("EXT_SUFFIX") and not has_ensurepip():
            package = "python3-venv"
            if not debian.can_install():
                raise SetupError(
                    "this Python cannot make virtual environments: it has no `ensurepip`",
                    f"install it (on Debian: apt-get install {package})",
                )
            print(f"    installing the Debian package {package}", flush=True)
            debian.install([package], layout.installed_packages, layout.logs / "apt.log")
        if folder.is_symlink():
            folder.unlink()  # clearing would empty what it points to, which is not ours
        # Not this interpreter: where `.toolchain/env` is sourced, it is the one of the folder to clear.
        base = getattr(sys, "_base_executable", None) or sys.executable
        run([base, "-m", "venv", "--clear", str(folder)], log, "making the virtual environment")
        write(started, wanted)
    environment = {
        "PIP_CACHE_DIR": str(layout.folder / "cache" / "pip"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--no-input", "--retries", "5"]
    run(
        # The locks are whole, so nothing is resolved here.
        [
            *pip,
            "--no-deps",
            "--require-hashes",
            *(["--no-compile"] if group != "base" else []),
            *(word for lock in locks for word in ("--requirement", str(lock))),
        ],
        log,
        "installing the packages",
        environment,
    )
    if group != "base":
        # The SDKs of clouds have thousands of modules, of which a program imports a few: those are
        # compiled now, and not at each run, whatever this shell says of writing them down.
        run(
            [str(folder / "bin" / "python"), "-c", "import strata.platforms.eks"],
            log,
            "compiling the SDKs of clouds",
            {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(layout.root)},
        )
    started.replace(finished)
    print(f"    ready in {time.monotonic() - begin:.0f} s", flush=True)


def has_ensurepip() -> bool:
    try:
        import ensurepip  # noqa: F401 (Debian ships it apart)
    except ImportError:
        return False
    return True


def run(command: list[str], log: Path, doing: str, extra: dict[str, str] | None = None) -> None:
    """Runs a command with its output in the log; of pip's, each package is a line for the person."""
    from strata.errors import SetupError

    lines: list[str] = []
    with log.open("a") as file:
        process = subprocess.Popen(
            command,
            env={**os.environ, **(extra or {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for line in process.stdout or ():
            file.write(line)
            lines.append(line.rstrip())
            if line.startswith(("Collecting ", "Installing collected")):
                show(line.split(" (from")[0].strip())
    show("")
    if process.wait():
        last = "\n    ".join(lines[-LAST_LINES:])
        raise SetupError(
            f"{doing} failed:\n    {last}",
            f"see {log}; check that this machine reaches PyPI (or set pip's own settings), then run the command again",
        )


def show(text: str) -> None:
    """One line that is overwritten, where there is a terminal."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 5
        print(f"\r\033[K    {text[:width]}" if text else "\r\033[K", end="", flush=True)


if __name__ == "__main__":
    ensure_new_enough()
    from strata.errors import exit_on_error

    with exit_on_error("Interrupted. Run the same command again to resume."):
        make_environment(sys.argv[1])
