"""The local state and the stack in it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

from toolchain.errors import SetupError
from toolchain.files import ensure_secret, write
from toolchain.layout import STACK, Layout

FILTER = "filter.strata-machine"
_SALT = "encryptionsalt:"


def without_salt(text: str) -> str:
    """The text of a stack file without this machine's encryption salt: what git sees of it."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_SALT))


def salt_of(text: str) -> str:
    """The line of the salt, or nothing."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_SALT))


def with_salt(text: str, salt: str) -> str:
    plain = without_salt(text)
    return (plain if plain.endswith("\n") or not plain else plain + "\n") + salt


def configure_git(layout: Layout) -> None:
    """Defines the filter of .gitattributes, in a git checkout only: git takes the salt off, a checkout puts it back."""
    if not _in_git(layout):
        return
    kept = shlex.quote(str(layout.salt.relative_to(layout.root)))
    for name, command in (
        ("clean", f"sed '/^{_SALT}/d'"),
        ("smudge", f"cat; cat {kept} 2>/dev/null || true"),
    ):
        _git(layout, "config", f"{FILTER}.{name}", command)


def unconfigure_git(layout: Layout) -> None:
    if _in_git(layout):
        _git(layout, "config", "--remove-section", FILTER)


def refresh_index(layout: Layout) -> None:
    """Lets git notice that the stack file is as committed: by its size alone git takes it for modified."""
    name = layout.stack_file.name
    if (
        _in_git(layout)
        and _git(layout, "diff", "--quiet", "--", name)
        and _git(layout, "ls-files", "--error-unmatch", name)
    ):
        _git(layout, "update-index", "--", name)


def _in_git(layout: Layout) -> bool:
    return shutil.which("git") is not None and (layout.root / ".git").exists()


def _git(layout: Layout, *arguments: str) -> bool:
    """Whether git did it. Where it refuses (a checkout of another user), all that is lost is a clean `git status`."""
    command = ["git", "-C", str(layout.root), *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def exists(layout: Layout) -> bool:
    return bool(_states(layout))


def ensure(layout: Layout, environment: dict[str, str]) -> None:
    """Makes the secrets, the state and the stack where they are missing; never replaces one."""
    ensure_secret(layout.passphrase)
    ensure_secret(layout.seed)
    layout.state.mkdir(parents=True, exist_ok=True)
    configure_git(layout)
    if not exists(layout) or not layout.salt.is_file():
        _make(layout, environment)
    text = layout.stack_file.read_text() if layout.stack_file.is_file() else ""
    wanted = with_salt(text, layout.salt.read_text())
    if text != wanted:
        write(layout.stack_file, wanted)
    refresh_index(layout)


def _make(layout: Layout, environment: dict[str, str]) -> None:
    """Makes the stack and keeps the salt that Pulumi writes into its file; of a stack that is there, finds its salt."""
    original = layout.stack_file.read_text() if layout.stack_file.is_file() else ""
    if exists(layout):
        write(layout.salt, salt_of(original) or _salt_of_state(layout))
        return
    # The salt of an earlier state fits no new passphrase.
    write(layout.stack_file, without_salt(original))
    command = [str(layout.bin / "pulumi"), "stack", "init", STACK, "--non-interactive"]
    done = subprocess.run(
        command, cwd=layout.root, env=environment, text=True, capture_output=True, check=False
    )
    salt = salt_of(layout.stack_file.read_text())
    # Pulumi rewrites values when it writes (20 becomes "20"), which git would show as a change.
    write(layout.stack_file, without_salt(original))
    if done.returncode or not salt:
        raise SetupError(
            f"`pulumi stack init {STACK}` failed:\n    {(done.stderr or done.stdout).strip()}",
            f"look at {layout.root / 'Pulumi.yaml'} and {layout.stack_file}, then run the same command again",
        )
    write(layout.salt, salt)


def _salt_of_state(layout: Layout) -> str:
    for path in _states(layout):
        deployment = json.loads(path.read_text())["checkpoint"]["latest"] or {}
        salt = deployment.get("secrets_providers", {}).get("state", {}).get("salt")
        if salt:
            return f"{_SALT} {salt}\n"
    raise SetupError(
        f"the stack {STACK} has lost its encryption salt: it is neither in {layout.stack_file.name} nor in the state",
        f"it has no resources: remove it with `pulumi stack rm {STACK} --yes` and run the same command again",
    )


def _states(layout: Layout) -> list[Path]:
    return sorted((layout.state / ".pulumi" / "stacks").glob(f"*/{STACK}.json"))


def run(layout: Layout, environment: dict[str, str], *arguments: str) -> int:
    """Runs the CLI for the stack, its output going straight to the person."""
    command = [str(layout.bin / "pulumi"), *arguments, "--stack", STACK]
    return subprocess.run(command, cwd=layout.root, env=environment, check=False).returncode


def become(layout: Layout, environment: dict[str, str], *arguments: str) -> None:
    """Turns this process into the CLI: signals, terminal and exit status are its own."""
    os.chdir(layout.root)
    command = [str(layout.bin / "pulumi"), *arguments, "--stack", STACK]
    os.execve(command[0], command, environment)  # noqa: S606 (no shell is wanted)
