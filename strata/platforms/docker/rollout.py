"""How an update replaces the replicas of a service: one at a time and, where it can, start first.

A container keeps its name and addresses for life, so two containers of a replica can only run at the
same time if they differ in both. A replica therefore has two slots, each with a name and addresses. A
new container takes the slot that the old one doesn't use, and Pulumi creates it before it deletes the
old one. The engine knows which slot is in use: a label of the container has the fingerprint of what it
was created from (its revision), so an update that changes nothing finds the same slot again.

Docker's DNS server returns the address of a container as soon as it runs, and until it has ended. So a
container that starts beside the one it replaces joins the networks of its clients without the service's
name, and gets the name once it is healthy. A label marks it: the declared connections of a container must
not change later. The old container loses the name before it is stopped.

Pulumi deletes replaced containers only at the end of an update. The old container is stopped and removed
as soon as its successor has been healthy for `MIN_READY_SECONDS`, so that one replica at most runs twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pulumi

from strata.errors import NotReadyError
from strata.model import MIN_READY_SECONDS, Budget, Service, Workload
from strata.platforms.docker import leftovers
from strata.platforms.docker.names import SLOTS, ResourceNames
from strata.platforms.docker.networks import Connection
from strata.platforms.docker.observed import ObservedContainer
from strata.platforms.docker.threads import of_engine
from strata.platforms.docker.waiters import Waiter

DRAIN_SECONDS = 3
"""How long a container without the service's name still serves clients that know its address. The gateway
looks up names every 2 s (components/gateways/nginx.conf)."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the container of a replica goes. `existing`: the ids of the replica's containers before
    the update. `joins_when_healthy`: whether clients find it only then."""

    slot: int
    existing: tuple[str, ...]
    start_first: bool
    joins_when_healthy: bool


def can_overlap(workload: Workload, has_gpu: bool) -> bool:
    """Whether two containers of a replica can run at the same time. They can't share its volumes, its host
    ports or its GPUs."""
    return (
        isinstance(workload, Service)
        and not workload.stateful
        and not workload.volumes
        and not has_gpu
        and all(port.published is None for port in workload.ports)
    )


def start_first(workloads: Sequence[Workload], budget: Budget) -> Iterator[str]:
    """The services whose replicas are updated start first: those for which the host has memory for one
    more replica. Services can be updated at the same time, so their replicas add up."""
    spare_mib = budget.capacity.usable_memory_mib - budget.memory_mib
    for workload in workloads:
        needed_mib = workload.resources.memory_mib
        if (
            workload.replicas > 1
            and needed_mib <= spare_mib
            and can_overlap(workload, workload.name in budget.granted)
        ):
            spare_mib -= needed_mib
            yield workload.name


def place(
    workload: Workload,
    replica: int,
    names: ResourceNames,
    existing: Mapping[str, ObservedContainer],
    *,
    revision: str,
    start_first: bool,
) -> Placement:
    """`revision`: empty if two containers of the replica can't run at the same time. `existing`: the
    containers of the stack, by id."""
    slots = {names.container(workload, replica, slot): slot for slot in range(SLOTS)}
    own = {identifier: each for identifier, each in existing.items() if each.name in slots}
    used = {slots[each.name] for each in own.values()}
    newest = max(own.values(), key=lambda each: each.created, default=None)
    is_current = newest is not None and newest.revision == revision
    # An interrupted update can leave two. The newest is then kept or replaced: the oldest still serves,
    # until the next container is healthy.
    slot = slots[newest.name] if newest and revision else 0
    if start_first and len(used) == 1 and not is_current:
        slot = SLOTS - 1 - slot
    start_first = start_first and bool(used - {slot})
    return Placement(
        slot=slot,
        existing=tuple(own),
        start_first=start_first,
        joins_when_healthy=newest.joins_when_healthy if newest and is_current else start_first,
    )


class Handover(Waiter):
    """Waits until a replica is healthy, then removes the containers that it replaces."""

    async def wait(
        self,
        container: str,
        name: str,
        service: Service,
        placement: Placement,
        connections: Sequence[Connection],
        healthy: Callable[[], Awaitable[None]],
    ) -> None:
        """`healthy` returns once the container is healthy, and raises `NotReadyError` if it can't
        become so: the containers that it would replace then run on. `connections`: with the aliases
        under which clients find it."""
        await healthy()
        if placement.joins_when_healthy:
            await self._join(container, name, connections)
        replaced = [each for each in placement.existing if each != container]
        is_new = container not in placement.existing
        if replaced and is_new and service.replicas > 1 and not service.stateful:
            pulumi.log.info(
                f"{name}: healthy; the update goes on in {MIN_READY_SECONDS} s", ephemeral=True
            )
            await asyncio.sleep(MIN_READY_SECONDS)
            await healthy()
        for each in replaced:
            await self._retire(each, name, connections, service.stop_grace_seconds)

    async def _join(self, container: str, name: str, connections: Sequence[Connection]) -> None:
        """Gives the container the names under which clients find it."""
        inspected = await self._inspect(container, name)
        for connection in connections:
            if not {*connection.aliases} <= _aliases(inspected, connection):
                await self._reconnect(container, name, connection)

    async def _retire(
        self, container: str, name: str, connections: Sequence[Connection], grace_seconds: int
    ) -> None:
        """Takes the names from a container, and removes it once clients have forgotten its address."""
        from docker.errors import APIError, NotFound

        try:
            inspected = await of_engine(self._api.inspect_container, container)
            left = [each for each in connections if _aliases(inspected, each) & {*each.aliases}]
            for each in left:
                current = inspected["NetworkSettings"]["Networks"][each.network]
                address = current["IPAMConfig"]["IPv4Address"]
                nameless = Connection(network=each.network, address=address)
                await self._reconnect(container, name, nameless)
            if left:
                await asyncio.sleep(DRAIN_SECONDS)
            await of_engine(self._api.stop, container, timeout=grace_seconds)
        except NotFound:
            return
        except APIError as error:
            raise NotReadyError(
                f"{name}: the container that it replaces can't be stopped: {error.explanation or error}",
                "fix the cause and run `pulumi up` again, which continues from here",
            ) from None
        await of_engine(leftovers.remove_container, self._client, container)

    async def _reconnect(self, container: str, name: str, connection: Connection) -> None:
        """Connects it with other aliases: Docker can't change those of a connection. The address stays,
        so sockets that listen there, and open connections, stay too."""
        from docker.errors import APIError

        with suppress(APIError):  # It has left the network since it was inspected.
            await of_engine(
                self._api.disconnect_container_from_network, container, connection.network
            )
        await self._connect(container, name, connection)


def _aliases(inspected: Mapping[str, Any], connection: Connection) -> set[str]:
    """The aliases that a container has on a network."""
    current = inspected["NetworkSettings"]["Networks"].get(connection.network) or {}
    return {*(current.get("Aliases") or ())}
