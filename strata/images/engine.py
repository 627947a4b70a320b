"""The Docker engine: reaching it, and errors that a person can act on."""

from __future__ import annotations

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

LABEL_IMAGE = "strata.image"
LABEL_STAGE = "strata.build"
# Every answer but a build's comes at once from a local engine; this bounds a stuck one.
TIMEOUT_S = 60


class ImageError(Exception):
    """A message for a person: what failed, where, and what to do."""


def connect() -> docker.DockerClient:
    """A client of the engine that DOCKER_HOST or the default socket gives. Raises `ImageError` when
    none answers."""
    try:
        client = docker.from_env(timeout=TIMEOUT_S)
        client.ping()
    except (DockerException, RequestException, OSError) as error:
        reason = "you may not use it" if "Permission denied" in str(error) else "it does not answer"
        raise ImageError(
            f"no Docker engine to build images with: {reason}. "
            "Start it (for example `systemctl start docker`) or set DOCKER_HOST, then run this "
            "again."
        ) from error
    return client


def image_id(client: docker.DockerClient, reference: str) -> str | None:
    """The id (`sha256:…`) of an image that the engine has, or None."""
    try:
        found = client.images.get(reference).id
    except ImageNotFound:
        return None
    return str(found)


def present(client: docker.DockerClient) -> set[str]:
    """Every reference that the engine has, by tag and by digest: one question for all."""
    references: set[str] = set()
    for image in client.api.images():
        references.update(image.get("RepoTags") or ())
        for pinned in image.get("RepoDigests") or ():
            references.add(pinned)
            # The engine shortens the names of its default registry.
            name, _, pin = pinned.partition("@")
            references.add(f"docker.io/{name if '/' in name else f'library/{name}'}@{pin}")
    return references
