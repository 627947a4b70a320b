"""Removes what a benchmark made: all that carries the label of its seed, and nothing else."""

import docker

from strata.platforms.docker.names import OWNER


def remove(client: docker.DockerClient, owner: str) -> None:
    """Whether a run ended well, was interrupted or was killed, nothing of it stays."""
    filters: dict[str, str | list[str] | bool] = {"label": f"{OWNER}={owner}"}
    for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters=filters):
        network.remove()
    for volume in client.volumes.list(filters=filters):
        volume.remove(force=True)
