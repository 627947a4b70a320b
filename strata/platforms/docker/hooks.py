"""What runs before Pulumi creates a container or a network.

Pulumi records a container after it was created. An update that is killed in between leaves a
container that isn't in the state, and the next update would fail on its name, addresses or volume.
A hook runs right before Pulumi creates a resource, so the state has none of that name: a container
or network of this stack with the name is a leftover, and is removed.

Docker creates the folder of a new volume as root's, unless the image has a folder at that path.
Nothing in a stack runs as root, so the folders get their owner before the container is created. No
process does that: Docker unpacks an archive that contains only the folders.
"""

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pulumi

from strata.model import Kind
from strata.platforms.docker import leftovers
from strata.platforms.docker.names import FILES, KIND, OWNER, STACK, ResourceNames
from strata.platforms.docker.threads import in_thread


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Called before Pulumi creates a container or a network."""

    container: pulumi.ResourceHookBinding | None = None
    network: pulumi.ResourceHookBinding | None = None


def hooks(client: Any, names: ResourceNames) -> Hooks:
    """Hooks that remove leftovers of this stack only, and assign volumes to the user that writes to
    them."""
    engine = _Engine(client, names)
    return Hooks(
        container=pulumi.ResourceHookBinding(
            before_create=[
                _hook("remove-leftover-container", engine.remove_container),
                _hook("own-volumes", engine.own_volumes),
            ]
        ),
        network=pulumi.ResourceHookBinding(
            before_create=[_hook("remove-leftover-network", engine.remove_network)]
        ),
    )


def _hook(name: str, action: Callable[[Mapping[str, Any]], None]) -> pulumi.ResourceHook:
    """Runs an action in a thread, on the inputs of the resource."""

    async def run(args: pulumi.ResourceHookArgs) -> None:
        await in_thread(action, args.new_inputs or {})

    return pulumi.ResourceHook(name, run)


class _Engine:
    def __init__(self, client: Any, names: ResourceNames) -> None:
        self._client = client
        self._names = names

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

    def own_volumes(self, inputs: Mapping[str, Any]) -> None:
        """Assigns the volumes that a container mounts writable to its user."""
        from docker.errors import NotFound

        labels = {label["label"]: label["value"] for label in inputs["labels"]}
        volumes = [
            str(mount["source"])
            for mount in inputs.get("mounts") or ()
            if not mount.get("readOnly")
        ]
        # Docker copies the image's folder with its owner; the files' container never writes.
        if labels[KIND] in (Kind.DATASTORE, FILES) or not volumes:
            return
        api = self._client.api
        # A fixed name, so that a container left by an interrupted update is removed here.
        name = f"{inputs['name']}-volumes"
        with suppress(NotFound):
            api.remove_container(name, v=True)
        folders = {volume: f"volume-{number}" for number, volume in enumerate(volumes)}
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
