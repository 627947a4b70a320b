"""The volumes with data that this clone's stacks have on Docker. Pulumi never deletes them."""

from __future__ import annotations

from typing import Any

from strata import docker_engine
from strata.console import info
from strata.errors import SetupError
from toolchain.layout import Layout


def volumes(client: Any, layout: Layout, stack: str | None = None) -> list[str]:
    """The names of the volumes with data, of one stack or of all."""
    # Imported here: the platform is slow to import.
    from strata.platforms.docker.names import BACKUP, OWNER, STACK, owner_of

    if not layout.seed.is_file():
        return []
    owner = owner_of(layout.seed.read_text().strip().encode())
    labels = [BACKUP, f"{OWNER}={owner}", *([f"{STACK}={stack}"] if stack else [])]
    listed = client.api.volumes(filters={"label": labels})["Volumes"] or ()
    return sorted(volume["Name"] for volume in listed)


def delete_or_name(layout: Layout, stack: str, *, delete: bool) -> None:
    """Deletes the volumes with data of a destroyed stack, or prints their names."""
    client = docker_engine.connect()
    names = volumes(client, layout, stack)
    if not names:
        return
    listed = f"{count(names)} with data: {', '.join(names)}"
    if not delete:
        info(f"Kept {listed}\n    To delete: make down STACK={stack} DELETE_DATA=1")
        return
    with docker_engine.errors(f"stack {stack}: can't delete its volumes"):
        for name in names:
            client.api.remove_volume(name)
    info(f"Deleted {listed}")


def refuse_to_delete(layout: Layout) -> None:
    """Rejects the removal of this clone while a stack has data: without the seed, no later `up` uses it."""
    names = volumes(docker_engine.connect(), layout)
    if names:
        raise SetupError(
            f"this would delete {count(names)} with data: {', '.join(names)}",
            "back up (`make backup FOLDER=...`), or confirm with `make clean DELETE_DATA=1`",
        )


def count(names: list[str]) -> str:
    return "1 volume" if len(names) == 1 else f"{len(names)} volumes"
