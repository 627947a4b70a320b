"""After a killed `pulumi up`: what it made and did not record goes, and with it the notes of it in the state.

Such leftovers keep networks from being removed, and Pulumi itself would warn of them at every run. (The next `up`
clears its own way by name, in strata/platforms/docker; this is for `destroy`, which does not run the program.)
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests.exceptions

from toolchain.errors import SetupError
from toolchain.layout import Layout

OWNER_LABEL = "strata.owner"
STACK_LABEL = "strata.stack"
_PENDING = "pending_operations"


def owner(seed: str) -> str:
    """Tells this clone's things from another's of the same stack name: strata/platforms/docker labels them with it."""
    # Imported here: it brings the platform along, and a repair is rare.
    from strata.platforms.docker.names import owner_of

    return owner_of(seed.strip().encode())


@dataclass(frozen=True)
class Stack:
    """A stack as the local state has it."""

    name: str
    deployment: dict[str, Any]

    @property
    def interrupted(self) -> bool:
        return bool(self.deployment.get(_PENDING))

    @property
    def identities(self) -> set[str]:
        """The identities of all that was recorded."""
        return {one["id"] for one in self.deployment.get("resources") or () if "id" in one}


def stacks(state: Path) -> list[Stack]:
    found: list[Stack] = []
    for path in sorted((state / ".pulumi" / "stacks").glob("*/*.json")):
        checkpoint = json.loads(path.read_text()).get("checkpoint") or {}
        found.append(Stack(path.stem, checkpoint.get("latest") or {}))
    return found


def labels(stack: str, seed: str) -> dict[str, str | list[str] | bool]:
    """The filter for what a stack of this clone made, for the Docker client."""
    return {"label": [f"{STACK_LABEL}={stack}", f"{OWNER_LABEL}={owner(seed)}"]}


def state_folder(layout: Layout) -> Path:
    """Returns the folder of the local state: tests have their own."""
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    return Path(backend.removeprefix("file://")) if backend.startswith("file://") else layout.state


def repair(address: str, layout: Layout) -> int:
    """Repairs every stack that was interrupted; gives the number of leftovers removed."""
    state = state_folder(layout)
    seed = Path(os.environ.get("STRATA_SEED_FILE", layout.seed))
    removed = 0
    for stack in stacks(state):
        if stack.interrupted and seed.is_file():
            removed += remove_leftovers(address, stack, seed.read_text())
            _forget_pending(layout, stack)
    return removed


def remove_leftovers(address: str, stack: Stack, seed: str) -> int:
    """Removes containers and networks of a stack that its state does not know; gives their number.

    Volumes stay: they may hold data, and their names are fixed, so the next `up` takes them over.
    """
    known, filters, removed = stack.identities, labels(stack.name, seed), 0
    try:
        client = docker.DockerClient(base_url=address)
        for container in client.containers.list(all=True, filters=filters):
            if container.id not in known:
                container.remove(force=True, v=True)
                removed += 1
        for network in client.networks.list(filters=filters):
            if network.id not in known:
                network.remove()
                removed += 1
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise SetupError(
            f"what an interrupted `pulumi up` left could not be removed: {error}",
            "see that Docker answers (`docker info`) and run the same command again",
        ) from error
    return removed


def _forget_pending(layout: Layout, stack: Stack) -> None:
    """Takes the notes of interrupted operations out of the state: what they may have made is gone by now."""
    pulumi = [str(layout.pulumi_folder / "pulumi"), "stack", "--stack", stack.name]
    exported = subprocess.run(
        [*pulumi, "export"], cwd=layout.root, text=True, capture_output=True, check=False
    )
    if exported.returncode == 0:
        document = json.loads(exported.stdout)
        document["deployment"].pop(_PENDING, None)
        text = json.dumps(document)
        done = subprocess.run(
            [*pulumi, "import"],
            cwd=layout.root,
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            return
        exported = done
    raise SetupError(
        f"the state of the stack {stack.name} could not be repaired:\n    {exported.stderr.strip()}",
        f"run `pulumi refresh --stack {stack.name}` and answer its questions",
    )
