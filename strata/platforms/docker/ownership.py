"""Assigns the volumes that a workload writes to to its user.

Docker creates the folder of a new volume as root's, unless the image has a folder at that path.
Nothing in a stack runs as root, so the folders get their owner before the container is created. No
process does that: Docker unpacks an archive that contains only the folders.
"""

import asyncio
import io
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pulumi

from strata.model import Kind
from strata.platforms.docker.names import FILES, KIND


class VolumeOwnership:
    """A hook that runs before a container is created."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def assign(self, args: pulumi.ResourceHookArgs) -> None:
        await asyncio.to_thread(self._assign, args.new_inputs or {})

    def _assign(self, container: Mapping[str, Any]) -> None:
        labels = {label["label"]: label["value"] for label in container["labels"]}
        if labels[KIND] in (Kind.DATASTORE, FILES):
            # Docker copies the image's folder with its owner; the files' container never writes.
            return
        volumes = [
            str(mount["source"])
            for mount in container.get("mounts") or ()
            if not mount.get("readOnly")
        ]
        if volumes:
            self._assign_volumes(container, labels, volumes)

    def _assign_volumes(
        self, container: Mapping[str, Any], labels: Mapping[str, str], volumes: Sequence[str]
    ) -> None:
        from docker.errors import NotFound

        api = self._client.api
        # A fixed name, so that a container left by an interrupted update is removed here.
        name = f"{container['name']}-volumes"
        with suppress(NotFound):
            api.remove_container(name, v=True)
        folders = {volume: f"volume-{number}" for number, volume in enumerate(volumes)}
        binds = {volume: {"bind": f"/{folder}", "mode": "rw"} for volume, folder in folders.items()}
        api.create_container(
            container["image"],
            ["true"],
            name=name,
            labels=dict(labels),
            host_config=api.create_host_config(binds=binds, network_mode="none"),
        )
        try:
            user, _, group = str(container["user"]).partition(":")
            api.put_archive(name, "/", _archive(folders.values(), int(user), int(group or user)))
        finally:
            api.remove_container(name, v=True)


def _archive(folders: Iterable[str], user: int, group: int) -> bytes:
    """A tar archive of empty folders owned by the user."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, user, group
            archive.addfile(folder)
    return content.getvalue()
