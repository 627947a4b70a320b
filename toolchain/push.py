"""`make push`: pushes the images of a stack to its registry, and writes their digests to its settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

import systems
from strata import stack_file
from strata.collect import collect
from strata.config import Settings, load
from strata.console import info
from strata.errors import MissingRepositoryError, SetupError
from strata.images import catalogue
from strata.model import GpuMode, InvalidStackError
from strata.platforms.eks.facts.instances import AMD64, architecture
from toolchain import stack as stacks
from toolchain import steps
from toolchain.files import write
from toolchain.layout import Layout

KEY = "strata:imageDigests"
REPOSITORIES = "STRATA_REPOSITORIES"
"""Makes the program create only these repositories (strata/platforms/eks/registry_alone.py)."""


def push(layout: Layout, stack: str, more: list[str]) -> None:
    """Pushes our images that a stack needs, and others by name, and writes down their digests."""
    file = layout.stack_file(stack)
    project = str(yaml.safe_load((layout.root / "Pulumi.yaml").read_text())["name"])
    # Checked first: set-up may take minutes.
    if not file.is_file():
        raise SetupError(
            f"stack {stack}: there is no file {file.name}",
            f"choose one of: {', '.join(layout.stacks)}",
        )
    settings = settings_of(file)
    if settings.platform != "eks" or settings.aws.account is None:
        raise SetupError(
            f"stack {stack}: it has no registry to push to",
            f"set strata:platform to eks and strata:aws.account in {file.name}, or choose a stack on EKS: "
            "`make push STACK=prod`",
        )
    try:
        platforms = platforms_of(settings, known(more), configuration_of(file))
    except InvalidStackError as error:
        raise SetupError(str(error), f"correct {file.name}") from error
    ready = steps.ensure(layout, stack)
    steps.ensure_engine(layout, ready.source)
    prefix = f"{project}-{stack}"
    digests = _push_all(layout, ready.environment, settings, prefix, platforms)
    if digests is None:
        _make_repositories(layout, ready.environment, stack, sorted(platforms))
        digests = _push_all(layout, ready.environment, settings, prefix, platforms)
    if digests is None:
        raise SetupError(
            f"stack {stack}: its image repositories are still missing",
            "see the update above, fix the cause and run the same command again",
        )
    text = file.read_text()
    wanted = with_digests(text, digests)
    if wanted != text:
        write(file, wanted)
        info(f"Wrote the digests of {', '.join(sorted(digests))} to {file.name}")
    else:
        info(f"{file.name} is up to date")


def _push_all(
    layout: Layout,
    environment: dict[str, str],
    settings: Settings,
    prefix: str,
    platforms: Mapping[str, frozenset[str]],
) -> dict[str, str] | None:
    """Pushes images for their platforms. Returns the digests, or None if the registry has no repository for
    one of the images."""
    digests: dict[str, str] = {}
    for together in sorted(set(platforms.values()), key=sorted):
        names = sorted(name for name, own in platforms.items() if own == together)
        pushed = _push(layout, environment, settings, prefix, names, sorted(together))
        if pushed is None:
            return None
        digests |= pushed
    return digests


def _push(
    layout: Layout,
    environment: dict[str, str],
    settings: Settings,
    prefix: str,
    names: list[str],
    platforms: list[str],
) -> dict[str, str] | None:
    """Returns the digests, or None if the registry has no repository for one of the images."""
    with tempfile.TemporaryDirectory(prefix="strata-push-") as folder:
        digests = Path(folder) / "digests.json"
        command = [sys.executable, "-m", "strata", "images", "push", *names]
        command += ["--account", str(settings.aws.account), "--region", settings.aws.region]
        command += ["--prefix", prefix, "--digests", str(digests)]
        command += [f"--platform={platform}" for platform in platforms]
        done = subprocess.run(
            command,
            cwd=layout.root,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode == MissingRepositoryError.exit_status:
            return None
        print(done.stderr, end="", file=sys.stderr)
        if done.returncode:
            # It printed the error. Images that it pushed before aren't pushed again.
            sys.exit(done.returncode)
        pushed: dict[str, str] = json.loads(digests.read_text())
    return pushed


def _make_repositories(
    layout: Layout, environment: dict[str, str], stack: str, names: list[str]
) -> None:
    """Updates only the registry of the stack: pods need its images first."""
    info(f"Creating the image repositories of {stack}")
    command = ["up", "--yes", "--skip-preview"]
    for kind in ("strata:eks:Registry**", "pulumi:providers:aws::**"):
        command += ["--target", f"**{kind}"]
    repositories = {REPOSITORIES: " ".join(catalogue.get(name).name for name in names)}
    status = stacks.run(layout, {**environment, **repositories}, stack, *command)
    if status:
        # It printed the error.
        sys.exit(status)


def platforms_of(
    settings: Settings,
    more: Collection[str] = (),
    configuration: Mapping[str, str] = MappingProxyType({}),
) -> Mapping[str, frozenset[str]]:
    """The images of a stack that no public registry has, and `more`, with the platforms of the nodes that
    they run on. `configuration`: what the system reads by `pulumi.Config`. Raises `InvalidStackError`."""
    system = f"linux/{architecture(settings.aws.system_nodes.instance_types)}"
    # GPU nodes with Graviton aren't supported.
    with_gpu = f"linux/{AMD64}"
    platforms: dict[str, set[str]] = {name: {system} for name in more}
    compose = systems.find(settings.system)
    for workload in collect(compose, settings, configuration).workloads:
        gpu, image = workload.gpu, str(workload.image)
        on_gpus = str(gpu.image) if gpu.image is not None else image
        if gpu.mode is not GpuMode.REQUIRE:
            platforms.setdefault(image, set()).add(system)
        if gpu.mode is not GpuMode.OFF or (workload.on_every_node and settings.aws.gpu_nodes):
            platforms.setdefault(on_gpus, set()).add(with_gpu)
    return {
        name: frozenset(own)
        for name, own in platforms.items()
        if name in more or catalogue.get(name).upstream_for_pods is None
    }


def known(names: Iterable[str]) -> set[str]:
    """Images by name. Raises `ImageError` for an unknown one."""
    found = set(names)
    for name in found:
        catalogue.get(name)
    return found


def configuration_of(file: Path) -> dict[str, str]:
    """The configuration of a stack. No image depends on a secret, so each has another value here."""
    found: dict[str, str] = {}
    for key, value in stack_file.read(file).items():
        if isinstance(value, dict) and "secure" in value:
            found[key] = "(secret)"
        else:
            found[key] = value if isinstance(value, str) else json.dumps(value)
    return found


def settings_of(file: Path) -> Settings:
    """Returns the settings of a stack without its encrypted secrets."""
    raw = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in stack_file.read(file).items()
        if not (isinstance(value, dict) and "secure" in value)
    }
    try:
        return load(raw)
    except InvalidStackError as error:
        raise SetupError(str(error), f"correct {file.name}") from error


def with_digests(text: str, digests: dict[str, str]) -> str:
    """Returns the text of a stack file with these digests added, and nothing else changed.

    Pulumi's own command rewrites every value. Raises `SetupError` if `config:` isn't a block.
    """
    before: dict[str, Any] = yaml.safe_load(text) or {}
    settings = before.get("config") or {}
    merged = {**(settings.get(KEY) or {}), **digests}
    if merged == settings.get(KEY):
        return text
    # Without the block of earlier digests: its lines are indented more.
    lines = re.sub(rf"^  {KEY}:.*\n?(?:   .*\n?)*", "", text, flags=re.MULTILINE).splitlines()
    start = next((n for n, line in enumerate(lines) if line.startswith("config:")), None)
    block = [f"  {KEY}:", *(f"    {name}: {digest}" for name, digest in sorted(merged.items()))]
    if start is not None:
        end = start + 1
        while end < len(lines) and (not lines[end] or lines[end][0] in " #"):
            end += 1
        lines[end:end] = block
        made = "\n".join(lines) + "\n"
        with suppress(yaml.YAMLError):
            if yaml.safe_load(made) == {**before, "config": {**settings, KEY: merged}}:
                return made
    raise SetupError(
        "the digests can't be added to the stack file: its `config:` isn't a block",
        f"add them by hand under {KEY}: {json.dumps(digests)}",
    )
