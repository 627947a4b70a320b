"""`make push`: the images of a stack to its registry, and their digests to its file of settings."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from strata.config import Settings, load
from strata.console import info
from strata.errors import MissingRepositoryError, SetupError
from strata.model import InvalidStackError
from toolchain import needed, steps
from toolchain.files import write
from toolchain.layout import Layout

KEY = "strata:imageDigests"
REPOSITORIES = "STRATA_REPOSITORIES"
"""Tells the program which repositories to make, and to make nothing else: see
strata/platforms/eks/registry_alone.py, which this environment cannot import."""


def push(layout: Layout, stack: str, more: list[str]) -> None:
    """Pushes the images that a stack needs of our own, and others by name; notes their digests."""
    file = layout.stack_file(stack)
    project = str(yaml.safe_load((layout.root / "Pulumi.yaml").read_text())["name"])
    # Known before anything is set up: who named no stack gets no minutes of building first.
    if not file.is_file():
        raise SetupError(
            f"there is no stack {stack!r}: no file {file.name}",
            f"choose one of: {', '.join(layout.stacks)}",
        )
    settings = settings_of(file, project)
    if settings.platform != "eks" or settings.aws.account is None:
        raise SetupError(
            f"the stack {stack} has no registry to push to",
            f"set strata:platform to eks and strata:aws.account in {file.name}; "
            "`make push STACK=prod` is about prod",
        )
    try:
        names = sorted({*needed.own_images(settings), *needed.known(more)})
    except InvalidStackError as error:
        raise SetupError(str(error), f"repair {file.name}") from error
    ready = steps.ensure(layout, stack)
    steps.ensure_engine(layout, ready.source)
    prefix = f"{project}-{stack}"
    digests = _push(layout, ready.environment, settings, prefix, names)
    if digests is None:
        _make_repositories(layout, ready.environment, stack, names)
        digests = _push(layout, ready.environment, settings, prefix, names)
    if digests is None:
        raise SetupError(
            f"the repositories of {stack} are still not there",
            "see what the update above says of them, then run the same command again",
        )
    text = file.read_text()
    wanted = with_digests(text, digests)
    if wanted != text:
        write(file, wanted)
        info(f"{file.name} has the digests of {', '.join(sorted(digests))}")
    else:
        info(f"{file.name} has them already")


def _push(
    layout: Layout, environment: dict[str, str], settings: Settings, prefix: str, names: list[str]
) -> dict[str, str] | None:
    """The digests; None where the registry has no repository for one of the images."""
    with tempfile.TemporaryDirectory(prefix="strata-push-") as folder:
        digests = Path(folder) / "digests.json"
        # In the environment that has the SDK of AWS.
        python = str(layout.clouds_venv / "bin" / "python")
        command = [python, "-m", "strata", "images", "push", *names]
        command += ["--account", str(settings.aws.account), "--region", settings.aws.region]
        command += ["--prefix", prefix, "--digests", str(digests)]
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
            # The images that it pushed before the error are not pushed again.
            sys.exit(done.returncode)
        by_name: dict[str, str] = json.loads(digests.read_text())
    return by_name


def _make_repositories(
    layout: Layout, environment: dict[str, str], stack: str, names: list[str]
) -> None:
    """Updates nothing of the stack but its registry: pods can be named only once it has images."""
    info(f"Making the image repositories of {stack}, and nothing else of it")
    command = [str(layout.bin / "pulumi"), "up", "--yes", "--skip-preview", "--stack", stack]
    for kind in ("strata:eks:Registry**", "pulumi:providers:aws::**"):
        command += ["--target", f"**{kind}"]
    done = subprocess.run(
        command,
        cwd=layout.root,
        env={**environment, REPOSITORIES: " ".join(names)},
        check=False,
    )
    if done.returncode:
        # It has said what is wrong.
        sys.exit(done.returncode)


def settings_of(file: Path, project: str) -> Settings:
    """The settings of a stack without its secrets, which only its passphrase opens."""
    # Words as they stand, as Pulumi reads them: by the older YAML of this library, off would be false.
    read = yaml.load(file.read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - it makes strings alone
    values = (read or {}).get("config") or {}
    raw = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if not (isinstance(value, dict) and "secure" in value)
    }
    try:
        return load(raw, project)
    except InvalidStackError as error:
        raise SetupError(str(error), f"repair {file.name}") from error


def with_digests(text: str, digests: dict[str, str]) -> str:
    """The text of a stack file with these digests beside those it has; all else stays as it is.

    Pulumi's own command would write every value anew. Raises `SetupError` where the file is not
    written in the usual way.
    """
    before: dict[str, Any] = yaml.safe_load(text) or {}
    settings = before.get("config") or {}
    merged = {**(settings.get(KEY) or {}), **digests}
    if merged == settings.get(KEY):
        return text
    lines = _without_block(text.splitlines())
    start = next((n for n, line in enumerate(lines) if line.startswith("config:")), None)
    block = [f"  {KEY}:", *(f"    {name}: {digest}" for name, digest in sorted(merged.items()))]
    if start is not None:
        end = start + 1
        while end < len(lines) and (not lines[end] or lines[end][0] in " #"):
            end += 1
        lines[end:end] = block
        made = "\n".join(lines) + "\n"
        if _read(made) == {**before, "config": {**settings, KEY: merged}}:
            return made
    raise SetupError(
        "the digests could not be added to the stack file: its `config:` is not written as a block",
        f"add them by hand under {KEY}: {json.dumps(digests)}",
    )


def _read(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _without_block(lines: list[str]) -> list[str]:
    kept: list[str] = []
    inside = False
    for line in lines:
        if line.startswith(f"  {KEY}:"):
            inside = True
        elif not inside or not line.startswith("   "):
            inside = False
            kept.append(line)
    return kept
