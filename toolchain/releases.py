"""The official releases, for a machine with the whole internet."""

from __future__ import annotations

import platform
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from strata.console import Step
from strata.errors import SetupError
from toolchain import download
from toolchain.layout import Layout
from toolchain.versions import PULUMI

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Release:
    """An archive and the list of checksums that was published with it.

    The checksums of these versions stand in no public list besides the release's own, so that list is fetched over
    HTTPS from the release itself. The plugin's list is of SHA-1 (its workflow calls `shasum`).
    """

    folder: str
    archive: str
    checksums: str

    @property
    def archive_url(self) -> str:
        return f"{self.folder}/{self.archive}"

    @property
    def checksums_url(self) -> str:
        return f"{self.folder}/{self.checksums}"


def _system() -> tuple[str, str]:
    """The operating system and the processor, as Go names them."""
    processors = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    system, machine = platform.system().lower(), platform.machine().lower()
    if system not in ("linux", "darwin") or machine not in processors:
        raise SetupError(
            f"Pulumi publishes no release for {system} on {machine}",
            "use Linux or macOS on a 64-bit Intel, AMD or ARM processor, or STRATA_SOURCE=registries to build it",
        )
    return system, processors[machine]


def cli() -> Release:
    system, processor = _system()
    return Release(
        folder=f"https://github.com/pulumi/pulumi/releases/download/v{PULUMI}",
        archive=f"pulumi-v{PULUMI}-{system}-{'x64' if processor == 'amd64' else processor}.tar.gz",
        checksums=f"pulumi-{PULUMI}-checksums.txt",
    )


def plugin(name: str, version: str) -> Release:
    """Of a provider: docker, aws or kubernetes."""
    system, processor = _system()
    return Release(
        folder=f"https://github.com/pulumi/pulumi-{name}/releases/download/v{version}",
        archive=f"pulumi-resource-{name}-v{version}-{system}-{processor}.tar.gz",
        checksums=f"pulumi-{name}_{version}_checksums.txt",
    )


def install(release: Release, inside: str, target: Path, layout: Layout, progress: Step) -> None:
    """Fetches, verifies and unpacks a release; `inside` is the folder of the archive that becomes `target`."""

    def report(done: int, total: int | None) -> None:
        of = f" of {total / _MEBIBYTE:.0f}" if total else ""
        progress.update(f"downloading {release.archive}: {done / _MEBIBYTE:.0f}{of} MiB")

    checksum = download.checksum_of(download.read(release.checksums_url), release.archive)
    archive = layout.downloads / release.archive
    download.fetch(release.archive_url, archive, checksum, report)

    progress.update(f"unpacking {release.archive}")
    temporary = target.with_name(f"{target.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    with tarfile.open(archive) as contents:
        contents.extractall(temporary, filter="data")
    unpacked = temporary / inside if inside else temporary
    replace_folder(unpacked, target)
    shutil.rmtree(temporary, ignore_errors=True)
    archive.unlink()


def replace_folder(new: Path, target: Path) -> None:
    """Puts a finished folder in the place of another: the gap is two renames wide, and its stamp is set after it."""
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    new.replace(target)
    shutil.rmtree(old, ignore_errors=True)
