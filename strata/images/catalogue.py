"""The logical images of Strata, as plain data.

A service names a logical image (`postgres`). The catalogue maps it to an upstream image (pinned by
digest) and to the recipe that builds it here. Nothing in this file calls Docker, so it is cheap to
import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from strata import pins
from strata.errors import ImageError
from strata.folders import CHECKOUT

# The base of every image that Strata builds where a registry is reachable.
UPSTREAM_ROOT = pins.DEBIAN


@dataclass(frozen=True, kw_only=True)
class Image:
    """One logical image.

    `upstream` is a reference by digest, or None for an image that is always built here. `parent` is
    the logical image that its recipe starts from (None: the root file system). `sources` are files
    and folders of this repository that go into the build, besides the recipe's own folder.
    `on_demand` images are built only by name.
    """

    name: str
    purpose: str
    upstream: str | None = None
    parent: str | None = "base"
    sources: tuple[str, ...] = ()
    on_demand: bool = False


_IMAGES = (
    Image(name="base", purpose="Debian 13 with bash and an init", parent=None),
    Image(name="python", purpose="base with Python 3.13"),
    Image(
        name="postgres",
        purpose="PostgreSQL 17 with pgvector",
        upstream=pins.POSTGRES,
    ),
    Image(
        name="redis",
        purpose="Redis 8",
        upstream=pins.REDIS,
    ),
    Image(
        name="rabbitmq",
        purpose="RabbitMQ 4",
        upstream=pins.RABBITMQ,
    ),
    Image(
        name="nginx",
        purpose="NGINX, the gateway",
        upstream=pins.NGINX,
    ),
    Image(
        name="application",
        purpose="the reference application: API and worker",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/application", "apps/api", "apps/worker"),
    ),
    Image(
        name="inference",
        purpose="sentence embeddings on the CPU",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/inference"),
    ),
    Image(
        name="inference-cuda",
        purpose="sentence embeddings on an NVIDIA GPU",
        parent="python",
        sources=("apps/__init__.py", "apps/common", "apps/inference"),
        # Gigabytes of CUDA libraries, useless without a GPU.
        on_demand=True,
    ),
    Image(
        name="probe-server",
        purpose="one small HTTP process, for benchmarks and isolation tests",
        parent="python",
    ),
)

# The sources of the reference application aren't installed with the package.
IMAGES: Mapping[str, Image] = MappingProxyType(
    {image.name: image for image in _IMAGES if CHECKOUT or not image.sources}
)


def get(name: str) -> Image:
    """The image of that logical name. Raises `ImageError` if there is none."""
    if name not in IMAGES:
        raise ImageError(f"image {name}: unknown image", f"use one of: {', '.join(IMAGES)}")
    return IMAGES[name]


def lineage(name: str) -> tuple[str, ...]:
    """The image and the images that it is built from, ancestors first."""
    image = get(name)
    return (*lineage(image.parent), name) if image.parent else (name,)
