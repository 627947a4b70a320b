"""The source of images, and the reference that an image has by it."""

import enum
from functools import lru_cache

from strata.images import catalogue, content

SETTING = "STRATA_IMAGES"


class Source(enum.StrEnum):
    """`local`: all images are built here from Debian packages. `upstream`: engines are pulled by
    digest, and only our own images are built, from the Debian image by digest."""

    LOCAL = "local"
    UPSTREAM = "upstream"


@lru_cache
def resolve(name: str, source: Source | str) -> str:
    """The reference of a logical image. Reads a few small files; calls neither Docker nor the network.

    Raises `ImageError` for an unknown name, `ValueError` for an unknown source.
    """
    chosen = Source(source)
    image = catalogue.get(name)
    if image.upstream and (chosen is Source.UPSTREAM or not image.recipe):
        return image.upstream
    return f"strata/{image.name}:{_tag(name, chosen)}"


def root_reference(source: Source) -> str:
    """The parent of `base`: the Debian image, or the root file system that is built here."""
    if source is Source.UPSTREAM:
        return catalogue.UPSTREAM_ROOT
    return f"strata/root:{content.digest(content.context('base'), 'root')}"


def parent_reference(name: str, source: Source) -> str:
    """The reference that an image's recipe starts from."""
    image = catalogue.get(name)
    parent = image.parent
    if image.folder and not parent:
        return ""  # Its Dockerfile names what it starts from.
    # The parent of an image that we build is one that we build, even if it has an upstream.
    if not parent:
        return root_reference(source)
    return f"strata/{catalogue.get(parent).name}:{_tag(parent, source)}"


@lru_cache
def _tag(name: str, source: Source) -> str:
    return content.digest(content.context(name), parent_reference(name, source))
