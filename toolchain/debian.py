"""Installs Debian packages, records them, and removes those that no other package needs by then.

Uses only the standard library: the bootstrap imports it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from strata.errors import SetupError
from toolchain.files import write
from toolchain.layout import Layout

_OS_RELEASE = Path("/etc/os-release")


def family(os_release: str) -> set[str]:
    """Returns the words of ID and ID_LIKE in the text of an os-release file."""
    words: set[str] = set()
    for line in os_release.splitlines():
        key, _, value = line.partition("=")
        if key in ("ID", "ID_LIKE"):
            words |= set(value.strip("\"'").split())
    return words


def can_install() -> bool:
    """Whether this user is root on Debian or a derivative."""
    return (
        os.geteuid() == 0
        and shutil.which("apt-get") is not None
        and _OS_RELEASE.is_file()
        and "debian" in family(_OS_RELEASE.read_text())
    )


def _apt(layout: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    layout.logs.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # Wait for another apt (unattended upgrades) rather than fail.
    options = "-y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
    command = ["apt-get", *options.split(), *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    with layout.apt_log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done


def installed() -> set[str]:
    """Returns the names of all installed packages."""
    query = ["dpkg-query", "--show", "--showformat", "${db:Status-Abbrev} ${binary:Package}\n"]
    lines = subprocess.run(query, text=True, capture_output=True, check=True).stdout.splitlines()
    return {line.split()[1] for line in lines if line.startswith("ii")}


def install(layout: Layout, *packages: str) -> None:
    """Installs packages, and adds them and their new dependencies to the record."""
    record, before = layout.installed_packages, installed()
    try:
        for arguments in (["update"], ["install", "--no-install-recommends", *packages]):
            done = _apt(layout, *arguments)
            if done.returncode:
                last = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-5:])
                raise SetupError(
                    f"`apt-get {' '.join(arguments)}` failed:\n    {last}",
                    f"see {layout.apt_log}, fix the cause and run the same command again",
                )
    finally:
        # Also after a failure: what it installed must be removed later.
        added = sorted(installed() - before)
        if added:
            known = record.read_text().split() if record.is_file() else []
            write(record, "\n".join([*known, *added]) + "\n")


def remove(layout: Layout) -> str | None:
    """Removes the recorded packages. Returns the reason if it keeps them."""
    ours = sorted(set(layout.installed_packages.read_text().split()) & installed())
    if not ours:
        return None
    planned = _apt(layout, "--simulate", "purge", *ours)
    lines = [line.split() for line in planned.stdout.splitlines()]
    doomed = {words[1].partition(":")[0] for words in lines if words[:1] in (["Purg"], ["Remv"])}
    others = doomed - {name.partition(":")[0] for name in ours}
    if planned.returncode or others:
        return f"other packages need them: {', '.join(sorted(others)) or f'see {layout.apt_log}'}"
    done = _apt(layout, "purge", *ours)
    return None if done.returncode == 0 else f"apt-get purge failed: see {layout.apt_log}"
