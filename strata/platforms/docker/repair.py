"""Clears away what an interrupted update left behind.

The engine records a container after it was made. An update that is killed in between leaves a
container that the state does not know; the next update would fail on its name, its addresses or
its volume. Just before the engine makes a thing it calls the hook below, and only then is it sure
that the state has none: whatever of this stack carries the name is such a leftover.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import pulumi

from strata.platforms.docker.names import OWNER, STACK, ResourceNames
from strata.platforms.docker.ownership import VolumeOwnership


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the engine calls before it makes a container or a network."""

    container: pulumi.ResourceHookBinding | None = None
    network: pulumi.ResourceHookBinding | None = None


def hooks(client: Any, names: ResourceNames) -> Hooks:
    """Hooks that remove leftovers of this stack, and of this stack only, and that hand volumes to
    who writes to them."""
    repair = _Repair(client, names)
    return Hooks(
        container=pulumi.ResourceHookBinding(
            before_create=[
                pulumi.ResourceHook("remove-leftover-container", repair.container),
                pulumi.ResourceHook("own-volumes", VolumeOwnership(client).assign),
            ]
        ),
        network=pulumi.ResourceHookBinding(
            before_create=[pulumi.ResourceHook("remove-leftover-network", repair.network)]
        ),
    )


class _Repair:
    def __init__(self, client: Any, names: ResourceNames) -> None:
        self._client = client
        self._names = names

    async def container(self, args: pulumi.ResourceHookArgs) -> None:
        await asyncio.to_thread(self._remove_container, _name(args))

    async def network(self, args: pulumi.ResourceHookArgs) -> None:
        await asyncio.to_thread(self._remove_network, _name(args))

    def _remove_container(self, name: str) -> None:
        from docker.errors import NotFound

        try:
            found = self._client.api.inspect_container(name)
            if self._is_ours(found["Config"]["Labels"] or {}):
                pulumi.log.info(f"removing container {name}, left by an interrupted update")
                self._client.api.stop(found["Id"])
                self._client.api.remove_container(found["Id"], force=True, v=True)
        except NotFound:
            return

    def _remove_network(self, name: str) -> None:
        from docker.errors import NotFound

        for found in self._client.api.networks(names=[name]):
            if found["Name"] != name or not self._is_ours(found["Labels"] or {}):
                continue
            pulumi.log.info(f"removing network {name}, left by an interrupted update")
            try:
                for container in self._client.api.inspect_network(found["Id"])["Containers"]:
                    self._client.api.disconnect_container_from_network(
                        container, found["Id"], force=True
                    )
                self._client.api.remove_network(found["Id"])
            except NotFound:
                continue

    def _is_ours(self, labels: dict[str, str]) -> bool:
        return labels.get(STACK) == self._names.stack and labels.get(OWNER) == self._names.owner


def _name(args: pulumi.ResourceHookArgs) -> str:
    return str((args.new_inputs or {})["name"])
