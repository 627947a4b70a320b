"""Installs Pulumi's official releases, verified against their published checksums."""

from __future__ import annotations

import platform
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from strata.console import Step, step
from strata.errors import SetupError
from strata.pins import PULUMI
from toolchain import download
from toolchain.files import replace_folder
from toolchain.layout import Layout
from toolchain.stamps import Stamp, digest

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Release:
    """An archive and the checksums published with it.

    Pulumi publishes checksums only in the release itself. The plugins' are SHA-1 (their workflow calls `shasum`).
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
    """Returns the operating system and the processor, as Go names them."""
    processors = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    system, machine = platform.system().lower(), platform.machine().lower()
    if system not in ("linux", "darwin") or machine not in processors:
        raise SetupError(
            f"Pulumi has no release for {system} on {machine}",
            "use Linux or macOS on a 64-bit Intel, AMD or ARM processor, or build it with STRATA_SOURCE=registries",
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
    """Returns the release of a provider's plugin: docker, aws or kubernetes."""
    system, processor = _system()
    return Release(
        folder=f"https://github.com/pulumi/pulumi-{name}/releases/download/v{version}",
        archive=f"pulumi-resource-{name}-v{version}-{system}-{processor}.tar.gz",
        checksums=f"pulumi-{name}_{version}_checksums.txt",
    )


def install_cli(layout: Layout) -> None:
    """Installs the CLI and its language hosts if they are missing."""
    wanted = digest("official", PULUMI)
    stamp = Stamp(layout.stamps, "pulumi", wanted, [layout.pulumi_folder / "pulumi"])
    if not stamp.valid():
        with step(f"Pulumi CLI {PULUMI} and its language hosts: official release") as progress:
            install(cli(), "pulumi", layout.pulumi_folder, layout, progress)
            stamp.set()


def install_plugin(layout: Layout, name: str, version: str) -> None:
    """Installs the plugin of a provider if it is missing."""
    folder = layout.plugin(name, version)
    binary = folder / f"pulumi-resource-{name}"
    stamp = Stamp(layout.stamps, f"{name}-plugin", digest("official", version), [binary])
    if not stamp.valid():
        with step(f"Plugin {name} {version}: official release") as progress:
            install(plugin(name, version), "", folder, layout, progress)
            stamp.set()


def install(release: Release, inside: str, target: Path, layout: Layout, progress: Step) -> None:
    """Downloads, verifies and unpacks a release. The folder `inside` of the archive becomes `target`."""

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
        # Python before 3.11.4, as in Debian 12, has no filters; the checksum is what the archive is
        # trusted for.
        contents.extraction_filter = getattr(tarfile, "data_filter", None)
        contents.extractall(temporary)  # noqa: S202 (filtered, or verified)
    unpacked = temporary / inside if inside else temporary
    replace_folder(unpacked, target)
    shutil.rmtree(temporary, ignore_errors=True)
    archive.unlink()
