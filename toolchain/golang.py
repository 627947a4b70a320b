"""Builds from pinned Go modules, with every cache inside the clone."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from strata.console import Step
from strata.errors import SetupError
from toolchain.layout import Layout
from toolchain.versions import NEEDED_GO, OLDEST_GO

LAST_LINES = 20


@dataclass(frozen=True)
class Build:
    """One binary of one module."""

    module: Path  # folder with go.mod and go.sum
    package: str
    target: Path
    variables: dict[str, str] = field(
        default_factory=dict
    )  # set by the linker, by their full names
    tags: tuple[str, ...] = ()


def environment(layout: Layout) -> dict[str, str]:
    """Everything that Go keeps goes to the clone. A Go without C compiler suffices."""
    return {
        **os.environ,
        "GOPATH": str(layout.go),
        "GOMODCACHE": str(layout.go / "mod"),
        "GOCACHE": str(layout.go / "build"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


@contextmanager
def caches(layout: Layout) -> Iterator[None]:
    """Keeps the caches where they are while something is built from them: another set-up may be done by then."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    with (layout.folder / "go.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def remove_caches(layout: Layout) -> bool:
    """Removes gigabytes of modules and compiled packages; leaves them, and says so, where another build uses them."""
    layout.folder.mkdir(parents=True, exist_ok=True)
    with (layout.folder / "go.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        shutil.rmtree(layout.go, ignore_errors=True)
    return True


def version(text: str) -> tuple[int, int] | None:
    """(1, 26) of `go version go1.26.8 linux/amd64`."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def check(layout: Layout) -> None:
    """Raises where Go is missing or cannot build the pinned modules."""
    remedy = (
        f"install Go {NEEDED_GO} or newer and run the same command again, or use a machine that reaches github.com, "
        "where no Go is needed"
    )
    go = shutil.which("go")
    if go is None:
        raise SetupError(
            "building from package registries needs Go, and there is no `go` on the PATH", remedy
        )
    done = subprocess.run(
        [go, "version"], env=environment(layout), text=True, capture_output=True, check=False
    )
    found = version(done.stdout)
    if found is None or found < OLDEST_GO:
        raise SetupError(
            f"the Go at {go} is too old: {done.stdout.strip() or done.stderr.strip()}", remedy
        )


def build(layout: Layout, what: Build, log: Path, progress: Step) -> None:
    """Builds one binary; an interrupted build goes on from its cache."""
    with caches(layout):
        _build(layout, what, log, progress)


def _build(layout: Layout, what: Build, log: Path, progress: Step) -> None:
    settings = environment(layout)
    progress.update("reading the modules")
    list_command = [
        "go",
        "list",
        "-deps",
        "-f",
        "{{.ImportPath}}",
        f"-tags={','.join(what.tags)}",
        what.package,
    ]
    packages = _run(list_command, what.module, settings, log, progress, "downloading modules")
    linker = " ".join(
        ["-s", "-w", *(f"-X {name}={value}" for name, value in what.variables.items())]
    )
    what.target.parent.mkdir(parents=True, exist_ok=True)
    temporary = what.target.with_name(f"{what.target.name}.new")
    command = ["go", "build", "-v", "-trimpath", f"-tags={','.join(what.tags)}", "-ldflags", linker]
    _run(
        [*command, "-o", str(temporary), what.package],
        what.module,
        settings,
        log,
        progress,
        "compiled",
        packages,
    )
    temporary.replace(what.target)


def download(layout: Layout, module: str, module_version: str, log: Path) -> Path:
    """The folder of one module, verified against the checksum database (or the go.sum of the current folder)."""
    command = ["go", "mod", "download", "-json", f"{module}@{module_version}"]
    # Outside any module, Go asks for the version alone.
    layout.build.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        command,
        cwd=layout.build,
        env=environment(layout),
        text=True,
        capture_output=True,
        check=False,
    )
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode:
        raise _failure(command, (done.stdout + done.stderr).splitlines(), log)
    return Path(json.loads(done.stdout)["Dir"])


def _run(
    command: list[str],
    folder: Path,
    settings: dict[str, str],
    log: Path,
    progress: Step,
    doing: str,
    expected: int | None = None,
) -> int:
    """Runs Go with its output in the log; gives the number of packages it named."""
    log.parent.mkdir(parents=True, exist_ok=True)
    last: deque[str] = deque(maxlen=LAST_LINES)
    count = 0
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        with subprocess.Popen(
            command,
            cwd=folder,
            env=settings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            for line in process.stdout or ():
                file.write(line)
                last.append(line.rstrip())
                downloading = line.startswith("go: downloading ")
                count += not downloading
                of = f" of at most {expected}" if expected else ""
                progress.update(
                    line.strip().removeprefix("go: ")
                    if downloading
                    else f"{doing} {count}{of} packages"
                )
    if process.returncode:
        raise _failure(command, list(last), log)
    return count


def _failure(command: list[str], lines: list[str], log: Path) -> SetupError:
    shown = "\n    ".join(lines[-LAST_LINES:])
    return SetupError(
        f"`{' '.join(command[:3])} ...` failed:\n    {shown}",
        f"see {log}; check that this machine reaches the Go module proxy and has space left, then run the same "
        "command again: it goes on where it stopped",
    )
