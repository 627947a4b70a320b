"""Installs Pulumi's parts where only package registries are reachable.

The CLI, the Python language host and the Docker plugin are built from their Go modules, with pinned checksums. No
registry has the plugins of AWS and Kubernetes in the versions of their SDKs: a plan-only provider takes their place
(plan_provider/README.md).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from strata.console import step
from strata.pins import DOCKER_PLUGIN, PULUMI, UPSTREAM_VERSION
from toolchain.files import replace_folder, write
from toolchain.layout import Layout
from toolchain.registries import docker_plugin, golang
from toolchain.stamps import Stamp, digest

PLAN_PROVIDER = Path(__file__).resolve().parent / "plan_provider"
# Only a plan-only provider has this file in its plugin's folder.
PLAN_PROVIDER_FILE = "provider.py"
_CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_CLI_VERSION = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
_RUNNER = "pulumi-language-python-exec"


def install_cli(layout: Layout) -> None:
    """Builds the CLI and the Python language host if they are missing."""
    _build_cli(layout)
    _build_language_host(layout)


def install_plugin(layout: Layout, name: str, version: str) -> None:
    """Builds the Docker plugin, or installs the plan-only provider in another plugin's place."""
    folder = layout.plugin(name, version)
    if name == "docker":
        _build_docker_plugin(layout, folder / f"pulumi-resource-{name}")
    else:
        install_plan_provider(folder, name, layout.stamps)


def install_plan_provider(folder: Path, name: str, stamps: Path) -> None:
    """Copies the plan-only provider to a plugin's folder. Never replaces a real plugin."""
    stamp = Stamp(stamps, f"{name}-plugin", digest(*sorted(PLAN_PROVIDER.glob("[!_]*"))), [folder])
    if stamp.valid():
        return
    if not folder.is_dir() or (folder / PLAN_PROVIDER_FILE).is_file():
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(PLAN_PROVIDER, new, ignore=shutil.ignore_patterns("__pycache__"))
        replace_folder(new, folder)
    stamp.set()


def _build_cli(layout: Layout) -> None:
    module = golang.SOURCES / "pulumi"
    target = layout.pulumi_folder / "pulumi"
    stamp = Stamp(layout.stamps, "pulumi", digest("registries", PULUMI, module), [target])
    if stamp.valid():
        return
    title = f"Pulumi CLI {PULUMI}: building it from Go modules (takes minutes, once)"
    with step(title) as progress:
        build = golang.Build(module, _CLI_PACKAGE, target, {_CLI_VERSION: f"v{PULUMI}"})
        golang.build(layout, build, progress)
        stamp.set()


def _build_language_host(layout: Layout) -> None:
    module = golang.SOURCES / "pulumi-language-python"
    target = layout.pulumi_folder / "pulumi-language-python"
    runner = layout.pulumi_folder / _RUNNER
    wanted = digest("registries", PULUMI, module)
    stamp = Stamp(layout.stamps, "language-python", wanted, [target, runner])
    if stamp.valid():
        return
    with step(f"Python language host {PULUMI}: building it") as progress:
        build = golang.Build(module, ".", target, {"main.version": PULUMI})
        golang.build(layout, build, progress)
        sdk = golang.download(layout, _SDK_MODULE, f"v{PULUMI}")
        write(runner, (sdk / "python" / "cmd" / _RUNNER).read_text(), 0o755)
        stamp.set()


def _build_docker_plugin(layout: Layout, target: Path) -> None:
    module = golang.SOURCES / "pulumi-resource-docker"
    edits = repr((docker_plugin.REMOVED, docker_plugin.EXPORTED, docker_plugin.EDITS))
    wanted = digest("registries", DOCKER_PLUGIN, UPSTREAM_VERSION, edits, module)
    stamp = Stamp(layout.stamps, "docker-plugin", wanted, [target])
    if stamp.valid():
        return
    title = f"Docker plugin {DOCKER_PLUGIN}: building it from Go modules (takes minutes, once)"
    with step(title) as progress:
        folder = docker_plugin.prepare(layout)
        build = golang.Build(folder, ".", target, {"main.version": DOCKER_PLUGIN})
        golang.build(layout, build, progress)
        shutil.rmtree(folder)
        stamp.set()
