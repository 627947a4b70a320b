"""The images of the Docker engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from strata.folders import CHECKOUT
from strata.images import catalogue
from strata.images.source import Source, resolve

if TYPE_CHECKING:
    import docker

LABEL_IMAGE = "strata.image"
LABEL_STAGE = "strata.build"
LABEL_CLONE = "strata.clone"
"""Which clone, or project of an installed package, built an image: see `clone`."""


def clone() -> str:
    """Identifies this clone by 12 hexadecimal digits of its path, which they don't reveal: an image may
    be pushed. An installed package has the current folder, from which Pulumi runs a program."""
    path = CHECKOUT or Path.cwd()
    return hashlib.sha256(f"strata clone {path}".encode()).hexdigest()[:12]


def present(client: docker.DockerClient) -> dict[str, int]:
    """The references of all images of the engine, by tag and by digest, with their size in bytes."""
    sizes: dict[str, int] = {}
    for image in client.api.images():
        for reference in (*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())):
            sizes[reference] = image["Size"]
            # The engine shortens the names of its default registry.
            name, at, digest = reference.partition("@")
            if at:
                full = name if "/" in name else f"library/{name}"
                sizes[f"docker.io/{full}@{digest}"] = image["Size"]
    return sizes


def table(client: docker.DockerClient, source: Source) -> Iterator[str]:
    """A line for each logical image: its size in the engine, its reference and its purpose."""
    sizes = present(client)
    for name, image in catalogue.IMAGES.items():
        reference = resolve(name, source)
        size = f"{sizes[reference] / 1e6:.0f} MB" if reference in sizes else "-"
        yield f"  {name:<17} {size:>8}  {reference:<38}  {image.purpose}"


def clean(client: docker.DockerClient, *, everything: bool) -> int:
    """Removes builder stages and images of older content, or every image built here; returns how
    many."""
    from docker.errors import APIError

    current = {resolve(name, source) for name in catalogue.IMAGES for source in Source}
    removed = 0
    for label in (LABEL_IMAGE, LABEL_STAGE):
        images = client.api.images(filters={"label": label})
        # Children before parents: the engine removes no image that is the parent of another.
        for image in sorted(images, key=lambda each: -each["Created"]):
            tags = set(image.get("RepoTags") or ()) - {"<none>:<none>"}
            if not everything and tags & current:
                continue
            try:
                for target in tags or {image["Id"]}:
                    client.api.remove_image(target)
                removed += 1
            except APIError:
                # A container or another image uses it.
                continue
    if everything:
        for image in client.api.images(name="strata/root"):
            for tag in image.get("RepoTags") or ():
                client.api.remove_image(tag)
                removed += 1
    return removed
