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
    return own_reference(name, chosen)


def own_reference(name: str, source: Source) -> str:
    """The reference of our own build of a logical image, even if it has an upstream."""
    return f"strata/{catalogue.get(name).name}:{_tag(name, source)}"


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
    return own_reference(parent, source) if parent else root_reference(source)


def builder_reference(name: str, source: Source) -> str:
    """The reference that the builder stage of an image's recipe starts from; "" if none is shared."""
    builder = catalogue.get(name).builder
    return own_reference(builder, source) if builder else ""


@lru_cache
def _tag(name: str, source: Source) -> str:
    build = catalogue.get(name).build
    more = (builder_reference(name, source), build.options if build else "")
    salt = (parent_reference(name, source), *filter(None, more))
    return content.digest(content.context(name), *salt)
