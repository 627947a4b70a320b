"""The volumes with data that this clone's stacks have on Docker. Pulumi deletes only those whose `deletionPolicy` says
so."""

from __future__ import annotations

import shlex
from typing import Any

from strata import docker_engine
from strata.console import info
from strata.errors import SetupError
from toolchain.layout import Layout


def volumes(client: Any, layout: Layout, stack: str | None = None) -> dict[str, str | None]:
    """The volumes with data, of one stack or of all: by name, the folder of the host, if it is in one."""
    # Imported here: the platform is slow to import.
    from strata.platforms.docker.names import BACKUP, OWNER, STACK, owner_of
    from strata.platforms.docker.observed import bound_folder

    if not layout.seed.is_file():
        return {}
    owner = owner_of(layout.seed.read_text().strip().encode())
    labels = [BACKUP, f"{OWNER}={owner}", *([f"{STACK}={stack}"] if stack else [])]
    listed = client.api.volumes(filters={"label": labels})["Volumes"] or ()
    return {
        volume["Name"]: bound_folder(volume)
        for volume in sorted(listed, key=lambda each: str(each["Name"]))
    }


def delete_or_name(
    layout: Layout, stack: str, before: dict[str, str | None], *, delete: bool
) -> None:
    """Deletes the volumes with data of a destroyed stack, or prints their names. `before`: those that it had; the
    destroy deleted some if their `deletionPolicy` says so. The content of a folder of the host stays: it may have held
    other files before the stack did."""
    client = docker_engine.connect()
    named = volumes(client, layout, stack)
    if gone := {name: folder for name, folder in before.items() if name not in named}:
        info(f"Deleted with the stack (deletionPolicy: delete): {listed(gone)}")
    if not named:
        return
    if not delete:
        info(f"Kept {listed(named)}\n    To delete: make down STACK={stack} DELETE_DATA=1")
        return
    with docker_engine.errors(f"stack {stack}: can't delete its volumes"):
        for name in named:
            client.api.remove_volume(name)
    info(f"Deleted {listed(named)}")
    for folder in filter(None, named.values()):
        info(
            f"Kept the content of the host's folder {folder}\n"
            f"    To delete: sudo find {shlex.quote(folder)} -mindepth 1 -delete"
        )


def refuse_to_delete(layout: Layout) -> None:
    """Rejects the removal of this clone while a stack has data: without the seed, no later `up` uses it."""
    named = volumes(docker_engine.connect(), layout)
    if named:
        raise SetupError(
            f"this would delete {listed(named)}",
            "back up (`make backup FOLDER=...`), or confirm with `make clean DELETE_DATA=1`",
        )


def listed(named: dict[str, str | None]) -> str:
    count = "1 volume" if len(named) == 1 else f"{len(named)} volumes"
    shown = (f"{name} (in {folder})" if folder else name for name, folder in named.items())
    return f"{count} with data: {', '.join(shown)}"
