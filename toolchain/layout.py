"""Where everything of set-up lies: one ignored folder of the clone, and the environment that points to it.

Used by the bootstrap as well, so only the standard library is imported here.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

# The stack of this machine's Docker engine: the one that `make up` brings up.
DEV = "dev"


@dataclass(frozen=True)
class Layout:
    """The paths of one clone."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / ".toolchain"

    @property
    def environment_file(self) -> Path:
        return self.folder / "env"

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def pulumi_folder(self) -> Path:
        """The real CLI with its language hosts beside it; `bin/pulumi` is a wrapper around it."""
        return self.folder / "lib" / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        return self.folder / "pulumi-home"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def passphrase(self) -> Path:
        return self.folder / "passphrase"

    @property
    def seed(self) -> Path:
        return self.folder / "seed"

    @property
    def salts(self) -> Path:
        return self.folder / "encryption-salts"

    def salt(self, stack: str) -> Path:
        """The line that Pulumi wants in the stack file and that git must not see; git's filter finds it by its name."""
        return self.salts / self.stack_file(stack).name

    @property
    def source_file(self) -> Path:
        return self.folder / "source"

    @property
    def installed_packages(self) -> Path:
        """The Debian packages that this clone installed, one a line."""
        return self.folder / "installed-packages"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def stamps(self) -> Path:
        return self.folder / "stamps"

    @property
    def downloads(self) -> Path:
        return self.folder / "downloads"

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def go(self) -> Path:
        return self.folder / "go"

    @property
    def go_sources(self) -> Path:
        return self.root / "toolchain" / "go"

    @property
    def docker(self) -> Path:
        """The log and the process id of a Docker engine that this clone started."""
        return self.folder / "docker"

    @property
    def venv(self) -> Path:
        """What the Pulumi program and the tools run in: nothing of AWS or Kubernetes."""
        return self.folder / "venv"

    @property
    def test_venv(self) -> Path:
        return self.folder / "venv-test"

    @property
    def clouds_venv(self) -> Path:
        """What programs with the SDKs of AWS and Kubernetes run in: every stack that is not on Docker."""
        return self.folder / "venv-clouds"

    def stack_file(self, stack: str) -> Path:
        return self.root / f"Pulumi.{stack}.yaml"

    @property
    def stacks(self) -> list[str]:
        """The stacks that this clone has settings for."""
        return sorted(path.name.split(".")[1] for path in self.root.glob("Pulumi.*.yaml"))

    def plugin(self, name: str, version: str) -> Path:
        """The folder in which the engine looks for the plugin of a provider."""
        return self.pulumi_home / "plugins" / f"resource-{name}-v{version}"


def here() -> Layout:
    """The layout of the clone that this file lies in."""
    return Layout(Path(__file__).resolve().parent.parent)


def variables(layout: Layout, source: str, docker_host: str | None) -> dict[str, str]:
    """What the plain commands need, apart from the PATH."""
    found = {
        "PULUMI_HOME": str(layout.pulumi_home),
        "PULUMI_BACKEND_URL": f"file://{layout.state}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(layout.passphrase),
        # A stack file that lost its encryption salt (a fresh checkout of it) gets it back from the state.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Set-up brings the plugins; a run that looks for another one costs seconds at every start.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # A resource that waits to be healthy takes a place; the default of four a core makes tiers start in batches.
        "PULUMI_PARALLEL": "64",
        "STRATA_SEED_FILE": str(layout.seed),
        "STRATA_SOURCE": source,
    }
    if docker_host:
        found["DOCKER_HOST"] = docker_host
    return found


def process_environment(layout: Layout, source: str, docker_host: str | None) -> dict[str, str]:
    """The environment of this process with what the plain commands need."""
    environment = dict(os.environ)
    # It would win over the file of this clone.
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    environment.update(variables(layout, source, docker_host))
    first = [str(layout.bin), str(layout.venv / "bin")]
    rest = [
        part for part in environment.get("PATH", os.defpath).split(os.pathsep) if part not in first
    ]
    environment["PATH"] = os.pathsep.join(first + rest)
    return environment


def shell_file(layout: Layout, source: str, docker_host: str | None) -> str:
    """The text of `.toolchain/env`, for bash, zsh and any POSIX shell."""
    lines = [
        "# Made by set-up. `source` it, and `pulumi up --stack dev` works as typed, from any folder of the clone.",
        "unset PULUMI_CONFIG_PASSPHRASE",
        *(
            f"export {name}={shlex.quote(value)}"
            for name, value in variables(layout, source, docker_host).items()
        ),
    ]
    # The last one comes first on the PATH.
    for folder in (layout.venv / "bin", layout.bin):
        quoted = shlex.quote(str(folder))
        lines += [f'case ":$PATH:" in *:{quoted}:*) ;; *) export PATH={quoted}:"$PATH" ;; esac']
    return "\n".join(lines) + "\n"
