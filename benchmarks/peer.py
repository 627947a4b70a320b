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
    how = "official release" if chosen == source.OFFICIAL else "building it from its Go module"
    with step(f"Docker Compose {COMPOSE}: {how}, for the benchmarks") as progress:
        if chosen == source.OFFICIAL:
            _fetch(target)
        else:
            what = golang.Build(module, _PACKAGE, target, {_VERSION_VARIABLE: f"v{COMPOSE}"})
            golang.build(layout, what, progress)
    stamp.set()
    return target


def _fetch(target: Path) -> None:
    processors = {"amd64": "x86_64", "arm64": "aarch64"}
    machine = platform.machine().lower()
    release = Release(
        folder=f"https://github.com/docker/compose/releases/download/v{COMPOSE}",
        archive=f"docker-compose-{platform.system().lower()}-{processors.get(machine, machine)}",
        checksums="checksums.txt",
    )
    checksum = download.checksum_of(download.read(release.checksums_url), release.archive)
    download.fetch(release.archive_url, target, checksum)
    target.chmod(0o755)
