"""Removes what an interrupted update left behind.

Pulumi records a container after it was created. An update that is killed in between leaves a
container that isn't in the state, and the next update would fail on its name, addresses or volume.
Pulumi calls the hooks below right before it creates a resource, so the state has none of that name:
a container or network of this stack with the name is a leftover.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

import pulumi

from strata.platforms.docker import leftovers
from strata.platforms.docker.names import OWNER, STACK, ResourceNames
from strata.platforms.docker.ownership import VolumeOwnership


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """Called before Pulumi creates a container or a network."""

    container: pulumi.ResourceHookBinding | None = None
    network: pulumi.ResourceHookBinding | None = None


def hooks(client: Any, names: ResourceNames) -> Hooks:
    """Hooks that remove leftovers of this stack only, and assign volumes to the user that writes to
    them."""
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
            container = self._client.api.inspect_container(name)
            if not self._is_ours(container["Config"]["Labels"] or {}):
                return
            pulumi.log.info(f"removing container {name}, left by an interrupted update")
            self._client.api.stop(container["Id"])
        except NotFound:
            return
        leftovers.remove_container(self._client, container["Id"])

    def _remove_network(self, name: str) -> None:
        for network in self._client.api.networks(names=[name]):
            if network["Name"] == name and self._is_ours(network["Labels"] or {}):
                pulumi.log.info(f"removing network {name}, left by an interrupted update")
                leftovers.remove_network(self._client, network["Id"])

    def _is_ours(self, labels: dict[str, str]) -> bool:
        return labels.get(STACK) == self._names.stack and labels.get(OWNER) == self._names.owner


def _name(args: pulumi.ResourceHookArgs) -> str:
    return str((args.new_inputs or {})["name"])
