"""The checks of the project. pytest runs last: its summary ends the output."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from strata.console import heading
from strata.errors import SetupError
from toolchain import plugins, source
from toolchain.layout import Layout
from toolchain.registries import control_plane

SITE = ("mkdocs", "build", "--strict")
"""Builds the documentation in .toolchain/site (mkdocs.yml). With --quiet, MkDocs doesn't log warnings, and strict mode
counts only those that are logged."""


def _tool(layout: Layout, *command: str) -> list[str]:
    return [str(layout.test_venv / "bin" / "python"), "-m", *command]


def lint(layout: Layout) -> None:
    """Checks format, lint and types. Raises `SetupError` at the first failure."""
    for title, remedy, command in (
        ("ruff format", "run `make format`", ("ruff", "format", "--check", ".")),
        ("ruff check", "run `make format`, which fixes some of it", ("ruff", "check", ".")),
        ("mypy --strict", "see the lines above", ("mypy", ".")),
        ("mkdocs build --strict", "correct the page that a line above names", SITE),
    ):
        heading(title)
        # Material for MkDocs prints an advertisement for its successor otherwise.
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(
            _tool(layout, *command), cwd=layout.root, env=environment, check=False
        )
        if done.returncode:
            raise SetupError(f"{title} failed", remedy)


def format_code(layout: Layout) -> None:
    for command in (("ruff", "check", "--fix", "."), ("ruff", "format", ".")):
        subprocess.run(_tool(layout, *command), cwd=layout.root, check=True)


def layer_folder(layout: Layout, layer: str) -> Path:
    """Returns the folder of one layer of the tests."""
    folder = layout.root / "tests" / layer
    if not layer.isidentifier() or not folder.is_dir():
        known = sorted(path.parent.name for path in (layout.root / "tests").glob("*/test_*.py"))
        raise SetupError(
            f"LAYER: no tests named {layer!r}",
            f"choose one of: {', '.join(dict.fromkeys(known))}",
        )
    return folder


def ensure_parts(layout: Layout, layer: str = "") -> None:
    """Installs what one layer of the tests needs besides set-up, or what all layers need."""
    if layer in ("", "engine", "foreign", "package", "policies", "toolchain"):
        plugins.ensure_cluster(layout, source.remembered(layout))
    if layer in ("", "kubernetes"):
        control_plane.ensure(layout)


def with_stacks(layout: Layout) -> list[str]:
    """The folders whose tests bring stacks up on Docker. Most of their time they wait for health checks."""
    return [str(layout.root / "tests" / name) for name in ("docker", "package")]


def by_name(layout: Layout) -> list[str]:
    """The folders whose tests run only by the name of their layer: an image takes minutes to compile."""
    return [str(layout.root / "tests" / "traces")]


def without_stacks(layout: Layout) -> list[str]:
    """The folders of all other tests, which need the processor."""
    layers = {str(path.parent) for path in (layout.root / "tests").glob("*/test_*.py")}
    others = {*with_stacks(layout), *by_name(layout)}
    return [*sorted(layers - others), str(layout.root / "apps")]


def run_pytest(layout: Layout, environment: dict[str, str], paths: Sequence[str]) -> int:
    """Returns its exit status."""
    command = _tool(layout, "pytest", *paths)
    return subprocess.run(command, cwd=layout.root, env=environment, check=False).returncode


def become_pytest(layout: Layout, environment: dict[str, str], paths: Sequence[str]) -> None:
    """Replaces this process by pytest: its summary comes last, and its exit status is ours."""
    os.chdir(layout.root)
    command = _tool(layout, "pytest", *paths)
    os.execve(command[0], command, environment)  # noqa: S606 (no shell is wanted)
