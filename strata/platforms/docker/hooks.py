"""What runs before Pulumi creates a container or a network.

Pulumi records a container after it was created. An update that is killed in between leaves a
container that isn't in the state, and the next update would fail on its name, addresses or volume.
A hook runs right before Pulumi creates a resource, so the state has none of that name: a container
or network of this stack with the name is a leftover, and is removed.

Docker creates the folder of a new volume as root's, unless the image has a folder at that path.
Nothing in a stack runs as root, so the folders (of volumes in a folder of the host too, with mode 0700)
get their owner before the container is created, and its file volumes get their files. No process does
that: Docker unpacks an archive.
"""

import io
import tarfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pulumi

from strata.model import Kind
from strata.platforms.docker import leftovers
from strata.platforms.docker.files import VolumeFile
from strata.platforms.docker.names import KIND, OWNER, STACK, ResourceNames
from strata.platforms.docker.observed import bound_folder
from strata.platforms.docker.threads import of_engine

FilesByVolume = Mapping[str, Mapping[str, VolumeFile]]
"""The files of each volume, by its name and then theirs."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Called before Pulumi creates a container or a network."""

    container: pulumi.ResourceHookBinding | None = None
    network: pulumi.ResourceHookBinding | None = None


def hooks(client: Any, names: ResourceNames, files: FilesByVolume) -> Hooks:
    """Hooks that remove leftovers of this stack only, assign volumes to the user that writes to them,
    and fill its file volumes: `files` has those by the time that a container is created."""
    engine = _Engine(client, names, files)
    return Hooks(
        container=pulumi.ResourceHookBinding(
            before_create=[
                _hook("remove-leftover-container", engine.remove_container),
                _hook("prepare-volumes", engine.prepare_volumes),
            ]
        ),
        network=pulumi.ResourceHookBinding(
            before_create=[_hook("remove-leftover-network", engine.remove_network)]
        ),
    )


def _hook(name: str, action: Callable[[Mapping[str, Any]], None]) -> pulumi.ResourceHook:
    """Runs an action in a thread, on the inputs of the resource."""

    async def run(args: pulumi.ResourceHookArgs) -> None:
        await of_engine(action, args.new_inputs or {})

    return pulumi.ResourceHook(name, run)


class _Engine:
    def __init__(self, client: Any, names: ResourceNames, files: FilesByVolume) -> None:
        self._client = client
        self._names = names
        self._files = files
        # The replicas of a workload have the same file volumes.
        self._filling: defaultdict[tuple[str, ...], Lock] = defaultdict(Lock)

    def remove_container(self, inputs: Mapping[str, Any]) -> None:
        from docker.errors import NotFound

        name = str(inputs["name"])
        try:
            container = self._client.api.inspect_container(name)
            if not self._is_ours(container["Config"]["Labels"] or {}):
                return
            pulumi.log.info(f"removing container {name}, left by an interrupted update")
            self._client.api.stop(container["Id"])
        except NotFound:
            return
        leftovers.remove_container(self._client, container["Id"])

    def remove_network(self, inputs: Mapping[str, Any]) -> None:
        name = str(inputs["name"])
        for network in self._client.api.networks(names=[name]):
            if network["Name"] == name and self._is_ours(network["Labels"] or {}):
                pulumi.log.info(f"removing network {name}, left by an interrupted update")
                leftovers.remove_network(self._client, network["Id"])

    def _is_ours(self, labels: Mapping[str, str]) -> bool:
        return labels.get(STACK) == self._names.stack and labels.get(OWNER) == self._names.owner

    def prepare_volumes(self, inputs: Mapping[str, Any]) -> None:
        """Assigns the volumes that a container mounts writable to its user, and fills its file
        volumes."""
        from docker.errors import NotFound

        labels = {label["label"]: label["value"] for label in inputs["labels"]}
        mounts = inputs.get("mounts") or ()
        writable = [str(mount["source"]) for mount in mounts if not mount.get("readOnly")]
        bound = {volume for volume in writable if self._is_bound(volume)}
        # Docker copies the folder of a datastore's image with its owner, but only into an empty folder.
        owned = [volume for volume in writable if labels[KIND] != Kind.DATASTORE or volume in bound]
        filled = tuple(str(mount["source"]) for mount in mounts if mount["source"] in self._files)
        if not owned and not filled:
            return
        api = self._client.api
        # A fixed name, so that a container left by an interrupted update is removed here.
        name = f"{inputs['name']}-volumes"
        with suppress(NotFound):
            api.remove_container(name, v=True)
        folders = {volume: f"volume-{number}" for number, volume in enumerate((*owned, *filled))}
        binds = {volume: {"bind": f"/{folder}", "mode": "rw"} for volume, folder in folders.items()}
        api.create_container(
            inputs["image"],
            ["true"],
            name=name,
            labels=labels,
            host_config=api.create_host_config(binds=binds, network_mode="none"),
        )
        try:
            user, _, group = str(inputs["user"]).partition(":")
            archive = _Archive(int(user), int(group or user))
            for volume in owned:
                # Accounts of the host can reach its folders.
                archive.add_folder(folders[volume], 0o700 if volume in bound else 0o755)
            with self._filling[filled]:
                for volume in filled:
                    # Another replica may be reading them.
                    if not self._has_files(name, folders[volume], volume):
                        archive.add_files(folders[volume], self._files[volume])
                api.put_archive(name, "/", archive.content())
        finally:
            api.remove_container(name, v=True)

    def _is_bound(self, volume: str) -> bool:
        return bound_folder(self._client.api.inspect_volume(volume)) is not None

    def _has_files(self, container: str, folder: str, volume: str) -> bool:
        """Whether the folder of a volume in a container has the volume's files."""
        chunks, _ = self._client.api.get_archive(container, f"/{folder}")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            present = {
                member.name.partition("/")[2]: archive.extractfile(member)
                for member in archive
                if member.isfile()
            }
            return {name: file.read().decode() for name, file in present.items() if file} == {
                name: file.content for name, file in self._files[volume].items()
            }


class _Archive:
    """A tar archive of folders and files that belong to one user."""

    def __init__(self, user: int, group: int) -> None:
        self._user, self._group = user, group
        self._bytes = io.BytesIO()
        self._archive = tarfile.open(fileobj=self._bytes, mode="w")  # noqa: SIM115 - see `content`

    def add_folder(self, name: str, mode: int) -> None:
        self._add(name, tarfile.DIRTYPE, mode)

    def add_files(self, folder: str, files: Mapping[str, VolumeFile]) -> None:
        for name, file in files.items():
            self._add(f"{folder}/{name}", tarfile.REGTYPE, file.mode, file.content.encode())

    def content(self) -> bytes:
        self._archive.close()
        return self._bytes.getvalue()

    def _add(self, name: str, kind: bytes, mode: int, content: bytes = b"") -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.size = kind, mode, len(content)
        entry.uid, entry.gid = self._user, self._group
        self._archive.addfile(entry, io.BytesIO(content))
