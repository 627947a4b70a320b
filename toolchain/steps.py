"""The steps of set-up, each skipped when it is done already."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from strata.console import step
from strata.errors import SetupError
from toolchain import clouds, debian, docker_plugin, engine, golang, releases, source, stack
from toolchain.files import write
from toolchain.layout import DEV, Layout, process_environment, shell_file
from toolchain.stamps import Stamp, digest
from toolchain.versions import DOCKER_PLUGIN, PULUMI, UPSTREAM_VERSION

_CLI_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
_RUNNER = "pulumi-language-python-exec"


@dataclass(frozen=True)
class Ready:
    """What set-up made: the source it used and the environment that the plain commands run in."""

    source: str
    environment: dict[str, str]


def ensure(layout: Layout, name: str = DEV) -> Ready:
    """Everything that `pulumi up` of a stack needs apart from the images; only one on Docker needs its engine."""
    on_docker = stack.on_docker(layout, name)
    chosen = source.choose(layout)
    if chosen == source.OFFICIAL:
        _official(layout)
    else:
        _registries(layout, on_docker)
    if not on_docker:
        clouds.ensure(layout, chosen == source.OFFICIAL)
    source.remember(layout, chosen)
    _wrapper(layout)
    if on_docker:
        ensure_engine(layout, chosen)
    docker_host = engine.docker_host()
    write(layout.environment_file, shell_file(layout, chosen, docker_host), 0o644)
    environment = process_environment(layout, chosen, docker_host)
    stack.ensure(layout, environment, name)
    return Ready(chosen, environment)


def ensure_engine(layout: Layout, chosen: str) -> None:
    """Returns once a Docker engine can build the images."""
    engine.ensure(layout)
    if chosen == source.REGISTRIES:
        _base_image_tool(layout)


def build_images(layout: Layout, ready: Ready, *arguments: str) -> None:
    command = [sys.executable, "-m", "strata", "images", "build", *arguments]
    done = subprocess.run(command, cwd=layout.root, env=ready.environment, check=False)
    if done.returncode:
        raise SetupError(
            f"`strata images build` ended with status {done.returncode}",
            "fix the error that it printed above, then run the same command again: finished images are kept",
        )


def plugin_folder(layout: Layout) -> Path:
    return layout.plugin("docker", DOCKER_PLUGIN)


def _official(layout: Layout) -> None:
    """Always with the Docker plugin: the official language host wants the plugin of each SDK that is installed."""
    cli = Stamp(
        layout.stamps, "pulumi", digest(source.OFFICIAL, PULUMI), [layout.pulumi_folder / "pulumi"]
    )
    if not cli.valid():
        with step(f"Pulumi CLI {PULUMI} and its language hosts: official release") as progress:
            releases.install(releases.cli(), "pulumi", layout.pulumi_folder, layout, progress)
            cli.set()
    binary = plugin_folder(layout) / "pulumi-resource-docker"
    plugin = Stamp(layout.stamps, "docker-plugin", digest(source.OFFICIAL, DOCKER_PLUGIN), [binary])
    if not plugin.valid():
        with step(f"Docker plugin {DOCKER_PLUGIN}: official release") as progress:
            release = releases.plugin("docker", DOCKER_PLUGIN)
            releases.install(release, "", plugin_folder(layout), layout, progress)
            plugin.set()


def _registries(layout: Layout, on_docker: bool) -> None:
    with golang.caches(layout):
        built = [_build_cli(layout), _build_language_host(layout)]
        if on_docker:
            built.append(_build_docker_plugin(layout))
    if any(built):
        # 4.7 GB of modules and compiled packages, of use only until all are there.
        with step("Removing the caches of the Go builds"):
            golang.remove_caches(layout)


def _build_cli(layout: Layout) -> bool:
    module = layout.go_sources / "pulumi"
    target = layout.pulumi_folder / "pulumi"
    stamp = Stamp(layout.stamps, "pulumi", digest(source.REGISTRIES, PULUMI, module), [target])
    if stamp.valid():
        return False
    golang.check(layout)
    version = {"github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": f"v{PULUMI}"}
    with step(
        f"Pulumi CLI {PULUMI}: building it from its Go modules, minutes the first time"
    ) as progress:
        what = golang.Build(module, _CLI_PACKAGE, target, version)
        golang.build(layout, what, layout.logs / "pulumi.log", progress)
        stamp.set()
    return True


def _build_language_host(layout: Layout) -> bool:
    module = layout.go_sources / "pulumi-language-python"
    target = layout.pulumi_folder / "pulumi-language-python"
    runner = layout.pulumi_folder / _RUNNER
    stamp = Stamp(
        layout.stamps,
        "language-python",
        digest(source.REGISTRIES, PULUMI, module),
        [target, runner],
    )
    if stamp.valid():
        return False
    golang.check(layout)
    log = layout.logs / "language-python.log"
    with step(f"Python language host {PULUMI}: building it") as progress:
        golang.build(
            layout, golang.Build(module, ".", target, {"main.version": PULUMI}), log, progress
        )
        folder = golang.download(layout, _SDK_MODULE, f"v{PULUMI}", log)
        write(runner, (folder / "python" / "cmd" / _RUNNER).read_text(), 0o755)
        stamp.set()
    return True


def _build_docker_plugin(layout: Layout) -> bool:
    module = layout.go_sources / "pulumi-resource-docker"
    target = plugin_folder(layout) / "pulumi-resource-docker"
    edits = repr((docker_plugin.REMOVED, docker_plugin.EXPORTED, docker_plugin.EDITS))
    wanted = digest(source.REGISTRIES, DOCKER_PLUGIN, UPSTREAM_VERSION, edits, module)
    stamp = Stamp(layout.stamps, "docker-plugin", wanted, [target])
    if stamp.valid():
        return False
    golang.check(layout)
    log = layout.logs / "docker-plugin.log"
    with step(
        f"Docker plugin {DOCKER_PLUGIN}: building it from its Go modules, minutes the first time"
    ) as progress:
        folder = docker_plugin.prepare(layout, log)
        golang.build(
            layout,
            golang.Build(folder, ".", target, {"main.version": DOCKER_PLUGIN}),
            log,
            progress,
        )
        shutil.rmtree(folder)
        stamp.set()
    return True


def _wrapper(layout: Layout) -> None:
    text = (layout.root / "toolchain" / "pulumi-wrapper.sh").read_text()
    target = layout.bin / "pulumi"
    if not target.is_file() or target.read_text() != text:
        write(target, text, 0o755)


def _base_image_tool(layout: Layout) -> None:
    """With no image registry, the base image is made from Debian's packages."""
    if shutil.which("mmdebstrap") is not None:
        return
    if not debian.can_install():
        raise SetupError(
            "the base image is built with `mmdebstrap`, which is not on the PATH",
            "install it (on Debian: apt-get install mmdebstrap), or use a machine that reaches an image registry",
        )
    with step("Base image: installing the Debian package mmdebstrap"):
        debian.install(["mmdebstrap"], layout.installed_packages, layout.logs / "apt.log")
