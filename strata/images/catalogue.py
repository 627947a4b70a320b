"""The logical images of Strata, as plain data.

A service names a logical image (`postgres`). The catalogue maps it to an upstream image (pinned by
digest) and to the recipe that builds it here. Nothing in this file calls Docker, so it is cheap to
import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from strata.errors import ImageError

# The base of all images that we build, if an image registry is reachable: tag `trixie-slim`
# (13.7-slim).
UPSTREAM_ROOT = (
    "docker.io/library/debian"
    "@sha256:a99cfc517144bc59b1978475ec53b46ecabec7e43635402ee5b77cc54cd1b20a"
)


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
        # tag 0.8.6-pg17-trixie (PostgreSQL 17.11)
        upstream=(
            "docker.io/pgvector/pgvector@sha256:724a4041afdb1750446e3f6b5cfa8f3b0ac5a2cf538ddfa6bfee4f94c2fa85c6"
        ),
    ),
    Image(
        name="redis",
        purpose="Redis 8",
        # tag 8.10.2-trixie
        upstream=(
            "docker.io/library/redis@sha256:d5ac52db24d4e70566fe9944f22cf5bdc2bc739b05c0f426335161ea6c23f3b3"
        ),
    ),
    Image(
        name="rabbitmq",
        purpose="RabbitMQ 4",
        # tag 4.3.6
        upstream=(
            "docker.io/library/rabbitmq@sha256:fcebcf1710fa311001816214d8a15e4899f686bfb2741c0f7bfe56eeb4840e61"
        ),
    ),
    Image(
        name="nginx",
        purpose="NGINX, the gateway",
        # tag 1.30.5-trixie
        upstream=(
            "docker.io/library/nginx@sha256:e9f347c65f318767714e8b0eccfd6b558d00fb92630791fb6cd901fcdf7f6fdd"
        ),
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

IMAGES: Mapping[str, Image] = MappingProxyType({image.name: image for image in _IMAGES})


def get(name: str) -> Image:
    """The image of that logical name. Raises `ImageError` if there is none."""
    if name not in IMAGES:
        raise ImageError(f"image {name}: unknown image", f"use one of: {', '.join(IMAGES)}")
    return IMAGES[name]


def lineage(name: str) -> tuple[str, ...]:
    """The image and the images that it is built from, ancestors first."""
    image = get(name)
    return (*lineage(image.parent), name) if image.parent else (name,)
