"""Repairs a stack after a killed `pulumi up`: removes what the state does not know from Docker, and the pending
operations from the state.

Such leftovers keep networks from being removed, and Pulumi warns of pending operations at every run. (The next `up`
removes leftovers by name, in strata/platforms/docker; this is for `destroy`, which does not run the program.)
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strata import docker_engine
from strata.errors import SetupError
from toolchain import preflight
from toolchain.layout import Layout

_PENDING = "pending_operations"


@dataclass(frozen=True)
class StackState:
    """A stack in the local state."""

    name: str
    deployment: dict[str, Any]

    @property
    def interrupted(self) -> bool:
        return bool(self.deployment.get(_PENDING))

    @property
    def ids(self) -> set[str]:
        """The ids of all recorded resources."""
        return {each["id"] for each in self.deployment.get("resources") or () if "id" in each}


def stacks(state: Path) -> list[StackState]:
    """The stacks in the state. Raises `SetupError` for a damaged one."""
    return [
        StackState(path.stem, preflight.read(path).get("latest") or {})
        for path in sorted((state / ".pulumi" / "stacks").glob("*/*.json"))
    ]


def state_folder(layout: Layout) -> Path:
    """The folder of the local state: tests have their own."""
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    return Path(backend.removeprefix("file://")) if backend.startswith("file://") else layout.state


def repair(layout: Layout) -> int:
    """Repairs every interrupted stack; returns the number of leftovers removed."""
    seed = Path(os.environ.get("STRATA_SEED_FILE", layout.seed))
    removed = 0
    for stack in stacks(state_folder(layout)):
        if stack.interrupted and seed.is_file():
            removed += remove_leftovers(stack.name, seed, keep=stack.ids)
            _remove_pending(layout, stack)
    return removed


def remove_leftovers(
    stack: str, seed: Path, *, keep: Collection[str] = (), volumes: bool = False
) -> int:
    """Removes what this clone made for a stack, except the ids in `keep`; returns the number.

    Volumes may hold data. Their names are fixed, so the next `up` reuses those that stay.
    """
    # Imported here: the platform is slow to import, and repairs are rare.
    from strata.platforms.docker import leftovers
    from strata.platforms.docker.names import OWNER, STACK, owner_of

    labels = {STACK: stack, OWNER: owner_of(seed.read_text().strip().encode())}
    with docker_engine.errors("an interrupted `pulumi up` left objects that can't be removed"):
        return leftovers.remove(docker_engine.connect(), labels, keep=keep, volumes=volumes)


def _remove_pending(layout: Layout, stack: StackState) -> None:
    """Removes the pending operations from the state: what they may have made is gone by now."""
    pulumi = [str(layout.pulumi_folder / "pulumi"), "stack", "--stack", stack.name]
    done = _run([*pulumi, "export"], layout)
    if done.returncode == 0:
        document = json.loads(done.stdout)
        document["deployment"].pop(_PENDING, None)
        done = _run([*pulumi, "import"], layout, json.dumps(document))
    if done.returncode:
        raise SetupError(
            f"the state of the stack {stack.name} can't be repaired:\n    {done.stderr.strip()}",
            f"run `pulumi refresh --stack {stack.name}` and answer its questions",
        )


def _run(
    command: list[str], layout: Layout, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=layout.root, input=text, text=True, capture_output=True, check=False
    )
