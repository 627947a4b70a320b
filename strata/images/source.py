"""Where images come from, and the reference that follows from it."""

from __future__ import annotations

import enum
from functools import lru_cache

from strata.images import catalogue, content

SETTING = "STRATA_IMAGES"


class Source(enum.StrEnum):
    """`local`: everything is built here from Debian packages. `upstream`: engines are pulled by
    digest, and only our own images are built, on the Debian image by digest."""

    LOCAL = "local"
    UPSTREAM = "upstream"


@lru_cache
def resolve(name: str, source: Source | str) -> str:
    """The reference of a logical image. Plain: no Docker, no network, a few small files read.

    Raises `KeyError` for a name that the catalogue lacks, `ValueError` for a source that is neither
    of the two.
    """
    chosen = Source(source)
    image = catalogue.get(name)
    if chosen is Source.UPSTREAM and image.upstream:
        return image.upstream
    return f"strata/{name}:{_tag(name, chosen)}"


def root_reference(source: Source) -> str:
    """What `base` stands on: the Debian image, or the root file system that was made here."""
    if source is Source.UPSTREAM:
        return catalogue.UPSTREAM_ROOT
    return f"strata/root:{content.digest(content.context('base'), 'root')}"


def parent_reference(name: str, source: Source) -> str:
    """The reference that an image's recipe starts from."""
    parent = catalogue.get(name).parent
    # An own image stands on our own base even where its parent has an upstream of the same name.
    return f"strata/{parent}:{_tag(parent, source)}" if parent else root_reference(source)


@lru_cache
def _tag(name: str, source: Source) -> str:
    return content.digest(content.context(name), parent_reference(name, source))
