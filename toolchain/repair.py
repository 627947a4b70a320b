"""Repairs a stack on Docker after a killed `pulumi up`: removes what the state does not know from Docker, and Docker's
pending operations from the state. Those of a cluster may have made something that only the cluster knows: they stay.

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
        """Whether an operation on Docker is pending."""
        return any(map(_is_on_docker, self.deployment.get(_PENDING) or ()))

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


def repair(layout: Layout, name: str) -> int | None:
    """Repairs a stack; returns the number of leftovers removed, or None if it wasn't interrupted."""
    seed = Path(os.environ.get("STRATA_SEED_FILE", layout.seed))
    removed = None
    for stack in stacks(state_folder(layout)):
        if stack.name == name and stack.interrupted and seed.is_file():
            removed = remove_leftovers(name, seed, keep=stack.ids)
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


def _is_on_docker(operation: dict[str, Any]) -> bool:
    return str(operation["resource"]["type"]).startswith("docker:")


def _remove_pending(layout: Layout, stack: StackState) -> None:
    """Removes Docker's pending operations from the state: what they may have made is gone by now."""
    pulumi = [str(layout.pulumi_folder / "pulumi"), "stack", "--stack", stack.name]
    done = _run([*pulumi, "export"], layout)
    if done.returncode == 0:
        document = json.loads(done.stdout)
        pending = document["deployment"].pop(_PENDING, None) or ()
        if others := [each for each in pending if not _is_on_docker(each)]:
            document["deployment"][_PENDING] = others
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
