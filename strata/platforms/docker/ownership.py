"""Gives a service the volumes that it writes to.

Docker makes the folder of a new volume root's, unless the image has a folder at that path. Here
nothing runs as root, so before a container is made the folders of its volumes are handed to its
user. No process does that: Docker unpacks an archive that holds just the folder.
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
    """A hook for before a container is made."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def give(self, args: pulumi.ResourceHookArgs) -> None:
        await asyncio.to_thread(self._give, args.new_inputs or {})

    def _give(self, container: Mapping[str, Any]) -> None:
        labels = {one["label"]: one["value"] for one in container["labels"]}
        if labels[KIND] in (Kind.DATASTORE, FILES):
            return  # The image has the folder, which Docker copies with its owner, or nobody writes.
        volumes = [
            str(mount["source"])
            for mount in container.get("mounts") or ()
            if not mount.get("readOnly")
        ]
        if volumes:
            self._give_volumes(container, labels, volumes)

    def _give_volumes(
        self, container: Mapping[str, Any], labels: Mapping[str, str], volumes: Sequence[str]
    ) -> None:
        from docker.errors import NotFound

        api = self._client.api
        # Always the same name, so that one that an interrupted update left is found here.
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
    """An archive with folders that belong to the user."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, user, group
            archive.addfile(folder)
    return content.getvalue()
