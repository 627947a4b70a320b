"""Removes what an interrupted run left on a Docker engine, by label."""

import time
from collections.abc import Collection, Mapping
from typing import Any

from strata.errors import DockerError

CONFLICT = 409
REMOVAL_TRIES = 100
REMOVAL_PAUSE_SECONDS = 0.1


def remove(
    client: Any, labels: Mapping[str, str], *, keep: Collection[str] = (), volumes: bool = False
) -> int:
    """Removes the containers and networks with all these labels, except the ids in `keep`, and
    the volumes if asked to: they may hold data. Returns how many it removed."""
    api = client.api
    filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
    containers = [each["Id"] for each in api.containers(all=True, filters=filters)]
    networks = [each["Id"] for each in api.networks(filters=filters)]
    doomed = [[each for each in ids if each not in keep] for ids in (containers, networks)]
    for container in doomed[0]:
        remove_container(client, container)
    for network in doomed[1]:
        remove_network(client, network)
    names = api.volumes(filters=filters)["Volumes"] or () if volumes else ()
    for volume in names:
        api.remove_volume(volume["Name"], force=True)
    return len(doomed[0]) + len(doomed[1]) + len(names)


def remove_container(client: Any, container: str) -> None:
    """Removes a container and its anonymous volumes, unless it is gone already."""
    from docker.errors import APIError, NotFound

    for _ in range(REMOVAL_TRIES):
        try:
            client.api.remove_container(container, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            # An interrupted removal continues in the engine, which answers with a conflict.
            if error.status_code != CONFLICT:
                raise
            time.sleep(REMOVAL_PAUSE_SECONDS)
        else:
            return
    raise DockerError(f"container {container[:12]} can't be removed", "remove it: `docker rm -f`")


def remove_network(client: Any, network: str) -> None:
    """Disconnects the containers of a network and removes it, unless it is gone already."""
    from docker.errors import NotFound

    try:
        for container in client.api.inspect_network(network)["Containers"] or ():
            client.api.disconnect_container_from_network(container, network, force=True)
        client.api.remove_network(network)
    except NotFound:
        return
