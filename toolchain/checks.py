"""Every check of the project, each as a visible step; pytest comes last, so its summary closes the output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from strata.console import heading
from strata.errors import SetupError
from toolchain.layout import Layout


def _tool(layout: Layout, *command: str) -> list[str]:
    return [str(layout.test_venv / "bin" / "python"), "-m", *command]


def lint(layout: Layout, environment: dict[str, str]) -> None:
    """Format, lint and strict types; raises at the first that fails."""
    for title, remedy, command in (
        ("ruff format", "`make format` repairs it", ("ruff", "format", "--check", ".")),
        ("ruff check", "`make format` repairs some of it", ("ruff", "check", ".")),
        ("mypy --strict", "the lines above say where", ("mypy", ".")),
    ):
        heading(title)
        done = subprocess.run(
            _tool(layout, *command), cwd=layout.root, env=environment, check=False
        )
        if done.returncode:
            raise SetupError(f"{title} found something", remedy)


def format_code(layout: Layout, environment: dict[str, str]) -> None:
    for command in (("ruff", "check", "--fix", "."), ("ruff", "format", ".")):
        subprocess.run(_tool(layout, *command), cwd=layout.root, env=environment, check=True)


def layer_folder(layout: Layout, layer: str) -> Path:
    """The folder of one layer of tests."""
    folder = layout.root / "tests" / layer
    if not layer.isidentifier() or not folder.is_dir():
        known = sorted(path.parent.name for path in (layout.root / "tests").glob("*/test_*.py"))
        raise SetupError(
            f"there is no layer of tests named {layer!r}",
            f"choose one of: {', '.join(dict.fromkeys(known))}",
        )
    return folder


def become_pytest(layout: Layout, environment: dict[str, str], *paths: str) -> None:
    """Turns this process into pytest: its closing lines are the last and its exit status is ours."""
    heading("pytest")
    sys.stdout.flush()
    os.chdir(layout.root)
    command = _tool(layout, "pytest", *paths)
    os.execve(command[0], command, environment)  # noqa: S606 (no shell is wanted)
