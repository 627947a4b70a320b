"""Builds programs from pinned Go modules. Every cache is in `.toolchain/`."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from strata.console import Step, step
from strata.errors import SetupError
from strata.pins import NEEDED_GO, OLDEST_GO
from toolchain.bootstrap import LAST_LINES, run_logged
from toolchain.layout import Layout

SOURCES = Path(__file__).resolve().parent / "go"


@dataclass(frozen=True)
class Build:
    """One program of one module. `variables` are set by the linker, by their full names. Without `inlining`
    it is built in a quarter less CPU time (45 s instead of 62 s for etcd), and is slower."""

    module: Path  # folder with go.mod and go.sum
    package: str
    target: Path
    variables: dict[str, str] = field(default_factory=dict)
    inlining: bool = True


def environment(layout: Layout) -> dict[str, str]:
    """Keeps all that Go stores inside `.toolchain/`. No C compiler is needed."""
    return {
        **os.environ,
        "GOPATH": str(layout.go),
        "GOMODCACHE": str(layout.go / "mod"),
        "GOCACHE": str(layout.go / "build"),
        "GOFLAGS": "-modcacherw -buildvcs=false",
        # A fifth less time for compiling, within this limit of memory per process.
        "GOGC": "400",
        "GOMEMLIMIT": "1GiB",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


@contextmanager
def caches(layout: Layout) -> Iterator[None]:
    """Keeps the caches of Go while programs are built, then removes them: they take gigabytes.

    Nests, also across processes: the last one to leave removes them. After an error they stay, and the next build
    resumes from them.
    """
    layout.folder.mkdir(parents=True, exist_ok=True)
    with (layout.folder / "go.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if layout.go.is_dir():
            with step("Removing the caches of Go"):
                shutil.rmtree(layout.go, ignore_errors=True)


def version(text: str) -> tuple[int, int] | None:
    """Returns (1, 26) for `go version go1.26.8 linux/amd64`."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def check(layout: Layout) -> None:
    """Raises `SetupError` if Go is missing or too old to build the pinned modules."""
    remedy = (
        f"install Go {NEEDED_GO} or newer and run the same command again; "
        "a machine that reaches github.com doesn't need Go"
    )
    go = shutil.which("go")
    if go is None:
        raise SetupError("no `go` on the PATH: building from package registries needs it", remedy)
    done = subprocess.run(
        [go, "version"], env=environment(layout), text=True, capture_output=True, check=False
    )
    installed = version(done.stdout)
    if installed is None or installed < OLDEST_GO:
        raise SetupError(f"{go} is too old: {done.stdout.strip() or done.stderr.strip()}", remedy)


def build(layout: Layout, what: Build, progress: Step) -> None:
    """Builds one program. An interrupted build resumes from the caches."""
    check(layout)
    log = layout.logs / f"{what.target.name}.log"
    with caches(layout):
        settings = environment(layout)
        progress.update("reading the modules")
        listing = ["go", "list", "-deps", "-f", "{{.ImportPath}}", what.package]
        packages = _run(listing, what.module, settings, log, progress, "downloading modules")
        variables = [f"-X {name}={value}" for name, value in what.variables.items()]
        what.target.parent.mkdir(parents=True, exist_ok=True)
        temporary = what.target.with_name(f"{what.target.name}.new")
        command = ["go", "build", "-v", "-trimpath", "-ldflags", " ".join(["-s -w", *variables])]
        if not what.inlining:
            command += ["-gcflags", "all=-l"]
        command += ["-o", str(temporary), what.package]
        _run(command, what.module, settings, log, progress, "compiled", packages)
        temporary.replace(what.target)


def download(layout: Layout, module: str, module_version: str) -> Path:
    """Returns the folder of one module, verified against Go's checksum database."""
    command = ["go", "mod", "download", "-json", f"{module}@{module_version}"]
    # Outside any module: inside one, Go would check its go.sum.
    layout.build.mkdir(parents=True, exist_ok=True)
    settings, log = environment(layout), layout.logs / "go-mod-download.log"
    done = subprocess.run(
        command, cwd=layout.build, env=settings, text=True, capture_output=True, check=False
    )
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode:
        last = (done.stdout + done.stderr).splitlines()[-LAST_LINES:]
        raise _failure(command, "\n    ".join(last), log)
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
    """Runs Go with its output in the log. Returns the number of packages it lists."""
    count, of = 0, f" of at most {expected}" if expected else ""

    def show(line: str) -> None:
        nonlocal count
        if line.startswith("go: downloading "):
            progress.update(line.strip().removeprefix("go: "))
        else:
            count += 1
            progress.update(f"{doing} {count}{of} packages")

    status, last = run_logged(command, log, show, cwd=folder, env=settings)
    if status:
        raise _failure(command, last, log)
    return count


def _failure(command: list[str], last: str, log: Path) -> SetupError:
    return SetupError(
        f"`{' '.join(command[:3])} ...` failed:\n    {last}",
        f"see {log}; check that this machine reaches the Go module proxy and has free disk space, then run the same "
        "command again: it resumes where it stopped",
    )
