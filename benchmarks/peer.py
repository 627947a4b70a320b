"""Installs Docker Compose, the peer of the benchmarks."""

import platform
from pathlib import Path

from strata.console import step
from strata.pins import COMPOSE
from toolchain import download, source
from toolchain.layout import Layout
from toolchain.registries import golang
from toolchain.releases import Release
from toolchain.stamps import Stamp, digest

_PACKAGE = "github.com/docker/compose/v2/cmd"
_VERSION_VARIABLE = "github.com/docker/compose/v2/internal.Version"


def ensure(layout: Layout) -> Path:
    """The path of the executable: the official release, or a build of its pinned Go module."""
    target = layout.folder / "bench" / "docker-compose"
    module = golang.SOURCES / "compose"
    chosen = source.choose(layout)
    stamp = Stamp(layout.stamps, "compose", digest(chosen, COMPOSE, module), [target])
    if stamp.valid():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    if chosen == source.OFFICIAL:
        _fetch(target)
    else:
        _build(layout, module, target)
    stamp.set()
    return target


def _release() -> Release:
    processors = {"amd64": "x86_64", "arm64": "aarch64"}
    machine = platform.machine().lower()
    return Release(
        folder=f"https://github.com/docker/compose/releases/download/v{COMPOSE}",
        archive=f"docker-compose-{platform.system().lower()}-{processors.get(machine, machine)}",
        checksums="checksums.txt",
    )


def _fetch(target: Path) -> None:
    release = _release()
    with step(f"Docker Compose {COMPOSE}: official release, for the benchmarks"):
        checksum = download.checksum_of(download.read(release.checksums_url), release.archive)
        download.fetch(release.archive_url, target, checksum)
        target.chmod(0o755)


def _build(layout: Layout, module: Path, target: Path) -> None:
    log = layout.logs / "compose.log"
    with step(
        f"Docker Compose {COMPOSE}: building it from its Go module, for the benchmarks, minutes the first time"
    ) as progress:
        what = golang.Build(module, _PACKAGE, target, {_VERSION_VARIABLE: f"v{COMPOSE}"})
        golang.build(layout, what, log, progress)
