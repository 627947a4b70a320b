"""Removes old images that Strata built for this clone and that nothing needs any more.

An image is needed if a container has it, or if it is what its recipe and sources would build now: any
stack may name it. `images clean` removes more: images of every clone, whatever their age.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from strata.errors import ImageError
from strata.images.engine import LABEL_CLONE, LABEL_IMAGE, clone
from strata.images.source import Source, resolve

if TYPE_CHECKING:
    import docker

NO_TAG = "<none>:<none>"


@dataclass(frozen=True, kw_only=True)
class OldImage:
    """An image that nothing needs. `size_bytes` includes layers that other images share. `targets`:
    its tags, or its id if it has none."""

    targets: tuple[str, ...]
    size_bytes: int
    created: datetime


def old_images(client: docker.DockerClient, before: datetime) -> list[OldImage]:
    """The images of this clone that nothing needs and that were built before a time, newest first."""
    labels = [LABEL_IMAGE, f"{LABEL_CLONE}={clone()}"]
    used = {each["ImageID"] for each in client.api.containers(all=True)}
    return [
        OldImage(
            targets=_tags(image) or (image["Id"],),
            size_bytes=image["Size"],
            created=datetime.fromtimestamp(image["Created"], UTC),
        )
        # Children before parents: the engine removes no image that is the parent of another.
        for image in sorted(
            client.api.images(filters={"label": labels}), key=lambda each: -each["Created"]
        )
        if image["Id"] not in used
        and datetime.fromtimestamp(image["Created"], UTC) < before
        and not set(_tags(image)) & set(_current(image["Labels"][LABEL_IMAGE]))
    ]


def remove(client: docker.DockerClient, image: OldImage) -> bool:
    """Removes an image. False if a container or another image has come to use it."""
    from docker.errors import APIError

    try:
        for target in image.targets:
            client.api.remove_image(target)
    except APIError as error:
        if error.status_code not in (404, 409):
            raise
        return False
    return True


def _tags(image: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(set(image.get("RepoTags") or ()) - {NO_TAG}))


def _current(name: str) -> Iterator[str]:
    """What a logical image is now, by each source. Nothing if it no longer exists."""
    for source in Source:
        try:
            yield resolve(name, source)
        except ImageError:
            return
