"""The local state and the stacks in it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from strata import stack_file
from strata.engine import Summary, run_attached
from strata.errors import SetupError
from toolchain import repair
from toolchain.files import ensure_secret, write
from toolchain.layout import DEV, Layout, backend

FILTER = "filter.strata-machine"
_SALT = "encryptionsalt:"


def without_salt(text: str) -> str:
    """Returns the text of a stack file without this machine's encryption salt: git's version."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_SALT))


def salt_of(text: str) -> str:
    """Returns the line of the salt, or "" if there is none."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_SALT))


def with_salt(text: str, salt: str) -> str:
    plain = without_salt(text)
    return (plain if plain.endswith("\n") or not plain else plain + "\n") + salt


def configure_git(layout: Layout) -> None:
    """Defines the filter of .gitattributes: `git add` removes the salt, a checkout restores it."""
    # Git replaces %f by the quoted name of the stack file.
    kept = f"{shlex.quote(str(layout.salts.relative_to(layout.root)))}/%f"
    # The salt of a shared stack is in its file, which git has.
    for name, command in (
        ("clean", f"if [ -s {kept} ]; then grep -vxF -f {kept} || true; else cat; fi"),
        (
            "smudge",
            f"awk '1; /^{_SALT}/ {{ own = 1 }} END {{ exit own }}' && cat {kept} 2>/dev/null || true",
        ),
    ):
        _git(layout, "config", f"{FILTER}.{name}", command)


def unconfigure_git(layout: Layout) -> None:
    _git(layout, "config", "--remove-section", FILTER)


def refresh_index(layout: Layout, stack: str) -> None:
    """Tells git that a stack file is unchanged: by its size, git takes it for modified."""
    name = layout.stack_file(stack).name
    unchanged = _git(layout, "diff", "--quiet", "--", name)
    if unchanged and _git(layout, "ls-files", "--error-unmatch", name):
        _git(layout, "update-index", "--", name)


def _git(layout: Layout, *arguments: str) -> bool:
    """Runs git and returns whether it succeeded. If it fails, only `git status` is affected."""
    if shutil.which("git") is None or not (layout.root / ".git").exists():
        return False
    command = ["git", "-C", str(layout.root), *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def on_docker(layout: Layout, stack: str) -> bool:
    """Whether the settings of a stack put it on this machine's Docker engine. Raises `InvalidStackError` for a file
    that isn't valid YAML."""
    path = layout.stack_file(stack)
    if not path.is_file():
        raise SetupError(
            f"there is no stack {stack!r}: no file {path.name}",
            f"choose one of: {', '.join(layout.stacks)}",
        )
    return stack_file.is_on_docker(path)


def require_docker(layout: Layout, stack: str, command: str) -> None:
    """Rejects a stack on a cluster: only the CLI itself shows its plan and asks."""
    if not on_docker(layout, stack):
        raise SetupError(
            f"stack {stack}: `make` runs this only for stacks on Docker",
            f"run `source .toolchain/env && pulumi {command} --stack {stack}`",
        )


def exists(layout: Layout, stack: str) -> bool:
    """Whether the stack is in the local state. Of a stack that is elsewhere, Pulumi reports it."""
    return bool(backend(layout, os.environ) or _states(layout, stack))


def ensure(layout: Layout, environment: dict[str, str], stack: str) -> None:
    """Creates the secrets, the state and the stack if they are missing. Never replaces them.

    A state that the user keeps elsewhere is the user's: nothing is created there.
    """
    if backend(layout, os.environ):
        _disable_engine_logs(layout)
        configure_git(layout)
        _remove_salt(layout, stack)
        return
    _ensure_secrets(layout)
    layout.state.mkdir(parents=True, exist_ok=True)
    # Pulumi's files can be read by everyone.
    layout.state.chmod(0o700)
    _disable_engine_logs(layout)
    configure_git(layout)
    if not exists(layout, stack) or not layout.salt(stack).is_file():
        _create(layout, environment, stack)
    text = layout.stack_file(stack).read_text()
    wanted = with_salt(text, layout.salt(stack).read_text())
    if text != wanted:
        write(layout.stack_file(stack), wanted)
    refresh_index(layout, stack)


def _remove_salt(layout: Layout, stack: str) -> None:
    """Removes the salt of this machine from a stack file: it doesn't fit the passphrase of a shared state."""
    file, kept = layout.stack_file(stack), layout.salt(stack)
    text = file.read_text()
    if kept.is_file() and salt_of(text) == kept.read_text():
        write(file, without_salt(text))
        refresh_index(layout, stack)


def _ensure_secrets(layout: Layout) -> None:
    """Creates the passphrase and the seed. Rejects to create one that existing stacks need."""
    states = repair.stacks(layout.state)
    with_resources = [state for state in states if state.deployment.get("resources")]
    for path, users, loss in (
        (layout.passphrase, states, "its state can't be decrypted"),
        (layout.seed, with_resources, "its data can't be used"),
    ):
        if users and not (path.is_file() and path.read_text().strip()):
            raise SetupError(
                f"{path} is missing or empty, and without it the stack {users[0].name} is lost: {loss}",
                f"restore it from your backup, or give up the stack: remove {layout.state}, and what"
                f" `docker ps --all --filter label=strata.stack={users[0].name}` lists",
            )
        ensure_secret(path)


def _create(layout: Layout, environment: dict[str, str], stack: str) -> None:
    """Creates the stack if it's missing, and keeps the salt that Pulumi writes to its file."""
    file, salt_file = layout.stack_file(stack), layout.salt(stack)
    original = file.read_text()
    if exists(layout, stack):
        write(salt_file, salt_of(original) or _salt_of_state(layout, stack))
        return
    # The salt of an earlier state doesn't fit a new passphrase.
    write(file, without_salt(original))
    command = [str(layout.bin / "pulumi"), "stack", "init", stack, "--non-interactive"]
    if stack != DEV:
        command.append("--no-select")  # dev stays the stack of commands without --stack
    done = subprocess.run(
        command, cwd=layout.root, env=environment, text=True, capture_output=True, check=False
    )
    salt = salt_of(file.read_text())
    # Pulumi rewrites values when it writes (20 becomes "20"), which git would show as a change.
    write(file, without_salt(original))
    if done.returncode or not salt:
        raise SetupError(
            f"`pulumi stack init {stack}` failed:\n    {(done.stderr or done.stdout).strip()}",
            f"check {layout.root / 'Pulumi.yaml'} and {file}, then run the same command again",
        )
    write(salt_file, salt)


def _disable_engine_logs(layout: Layout) -> None:
    """Leaves the CLI no folder for the log of each command, which it writes in full detail.

    That is 39% of its processor time in an update without changes (docs/performance.md), and up to 500 MB. The CLI
    has no setting for it (3.250.0), and continues without a log if it can't create the folder.
    """
    logs = layout.pulumi_home / "logs"
    if not logs.is_symlink():
        shutil.rmtree(logs, ignore_errors=True)
        layout.pulumi_home.mkdir(parents=True, exist_ok=True)
        logs.symlink_to(os.devnull)


def _salt_of_state(layout: Layout, stack: str) -> str:
    for path in _states(layout, stack):
        deployment = json.loads(path.read_text())["checkpoint"]["latest"] or {}
        salt = deployment.get("secrets_providers", {}).get("state", {}).get("salt")
        if salt:
            return f"{_SALT} {salt}\n"
    raise SetupError(
        f"stack {stack}: neither {layout.stack_file(stack).name} nor the state has its encryption salt",
        f"remove the stack with `pulumi stack rm {stack} --yes` and run the same command again: it has no resources",
    )


def _states(layout: Layout, stack: str) -> list[Path]:
    return sorted((layout.state / ".pulumi" / "stacks").glob(f"*/{stack}.json"))


def run(layout: Layout, environment: dict[str, str], stack: str, *arguments: str) -> int:
    """Runs the CLI for a stack, and returns its status."""
    command = [str(layout.bin / "pulumi"), *arguments, "--stack", stack]
    return run_attached(command, layout.root, environment)


def run_with_events(
    layout: Layout, environment: dict[str, str], stack: str, *arguments: str
) -> tuple[int, Summary]:
    """Runs the CLI for a stack. Returns its status and a summary of what it reported."""
    with tempfile.TemporaryDirectory(prefix="strata-events-") as folder:
        log = Path(folder) / "events"
        log.touch()
        # Pulumi hides the option --event-log without this variable.
        visible = {**environment, "PULUMI_DEBUG_COMMANDS": "true"}
        status = run(layout, visible, stack, *arguments, "--event-log", str(log))
        return status, Summary.of(log.read_text())


def update(layout: Layout, environment: dict[str, str], stack: str) -> int:
    """Updates a stack, and prints its errors last: Pulumi prints the outputs after them. Returns the CLI's status."""
    arguments = ("up", "--yes", "--skip-preview")
    status, summary = run_with_events(layout, environment, stack, *arguments)
    if status and summary.errors:
        print(f"error: {summary.errors}", file=sys.stderr)
    return status
