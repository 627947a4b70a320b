"""The paths of set-up, all in one ignored folder of the clone, and the environment variables that point there.

Uses only the standard library: the bootstrap imports it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

# The stack that `make up` brings up, on this machine's Docker engine.
DEV = "dev"
PASSPHRASE_FILE = "PULUMI_CONFIG_PASSPHRASE_FILE"  # noqa: S105 - a name


class Layout:
    """The paths of one clone."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = folder = root / ".toolchain"
        self.environment_file = folder / "env"
        self.bin = folder / "bin"
        # The CLI and its language hosts. `bin/pulumi` is a wrapper of the CLI.
        self.pulumi_folder = folder / "lib" / "pulumi"
        self.pulumi_home = folder / "pulumi-home"
        self.state = folder / "state"
        self.passphrase = folder / "passphrase"
        self.seed = folder / "seed"
        self.salts = folder / "encryption-salts"
        self.source_file = folder / "source"
        # The Debian packages that this clone installed, one per line.
        self.installed_packages = folder / "installed-packages"
        self.logs = folder / "logs"
        self.apt_log = self.logs / "apt.log"
        self.stamps = folder / "stamps"
        self.downloads = folder / "downloads"
        self.build = folder / "build"
        self.go = folder / "go"
        # The log and the process id of a Docker engine that this clone started.
        self.docker = folder / "docker"
        # The environment of the Pulumi program and of set-up, which Pulumi.yaml names.
        self.venv = folder / "venv"
        # The environment of tests and development tools.
        self.test_venv = folder / "venv-test"

    @property
    def stacks(self) -> list[str]:
        """The stacks that have a file of settings."""
        return sorted(path.name.split(".")[1] for path in self.root.glob("Pulumi.*.yaml"))

    def stack_file(self, stack: str) -> Path:
        return self.root / f"Pulumi.{stack}.yaml"

    def salt(self, stack: str) -> Path:
        """The line that Pulumi needs in the stack file and git's filter removes. The filter finds it by this name."""
        return self.salts / self.stack_file(stack).name

    def plugin(self, name: str, version: str) -> Path:
        """The folder where Pulumi looks for the plugin of a provider."""
        return self.pulumi_home / "plugins" / f"resource-{name}-v{version}"


def here() -> Layout:
    """Returns the layout of the clone that contains this file."""
    return Layout(Path(__file__).resolve().parent.parent)


def backend(layout: Layout, environment: Mapping[str, str]) -> str:
    """Returns where the user keeps the state: PULUMI_BACKEND_URL, else that of Pulumi.yaml or `pulumi login`.
    Empty: in this clone. The wrapper of the CLI (pulumi-wrapper.sh) decides by the same rules."""
    chosen = environment.get("PULUMI_BACKEND_URL", "")
    if not chosen:
        project, login = layout.root / "Pulumi.yaml", layout.pulumi_home / "credentials.json"
        text = project.read_text() if project.is_file() else ""
        found = re.search(r"^backend:\s+url: *(\S+)", text, flags=re.MULTILINE)
        if found:
            chosen = found[1]
        elif login.is_file():
            chosen = str(json.loads(login.read_text()).get("current") or "")
    return "" if chosen == f"file://{layout.state}" else chosen


def variables(layout: Layout, source: str, docker_host: str | None) -> dict[str, str]:
    """Returns the variables that Pulumi's own commands need, except PATH."""
    result = {
        "PULUMI_HOME": str(layout.pulumi_home),
        PASSPHRASE_FILE: str(layout.passphrase),
        # A fresh checkout of a stack file has no encryption salt: Pulumi takes it from the state.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Set-up installs the plugins. Looking for others costs seconds at every run.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # A resource that waits for health takes a slot: with the default of four per core, tiers start in batches.
        "PULUMI_PARALLEL": "64",
        "STRATA_SEED_FILE": str(layout.seed),
        "STRATA_SOURCE": source,
    }
    if docker_host:
        result["DOCKER_HOST"] = docker_host
    return result


def process_environment(layout: Layout, source: str, docker_host: str | None) -> dict[str, str]:
    """Returns this process's environment with what Pulumi's own commands need."""
    environment = {**os.environ, **variables(layout, source, docker_host)}
    if backend(layout, os.environ):
        # The secrets of a shared state have a passphrase of their own.
        given = os.environ.get(PASSPHRASE_FILE)
        environment.update({PASSPHRASE_FILE: given} if given else {})
    else:
        # It would override the file of this clone.
        environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    first = [str(layout.bin), str(layout.venv / "bin")]
    rest = [
        part for part in environment.get("PATH", os.defpath).split(os.pathsep) if part not in first
    ]
    environment["PATH"] = os.pathsep.join(first + rest)
    return environment


def shell_file(layout: Layout, source: str, docker_host: str | None) -> str:
    """Returns the text of `.toolchain/env`, for bash, zsh and any POSIX shell."""
    lines = [
        "# Written by set-up. After `source .toolchain/env`, `pulumi up --stack dev` works in any folder of the clone.",
        "unset PULUMI_CONFIG_PASSPHRASE",
        *(
            f"export {name}={shlex.quote(value)}"
            for name, value in variables(layout, source, docker_host).items()
        ),
    ]
    # The last folder comes first on the PATH.
    for folder in (layout.venv / "bin", layout.bin):
        quoted = shlex.quote(str(folder))
        lines += [f'case ":$PATH:" in *:{quoted}:*) ;; *) export PATH={quoted}:"$PATH" ;; esac']
    return "\n".join(lines) + "\n"
