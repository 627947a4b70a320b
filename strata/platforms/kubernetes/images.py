"""The images of a stack in a cluster: every reference by its digest."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from strata.images import catalogue
from strata.model import Problem, Workload

NOT_PUSHED = f"sha256:{'0' * 64}"
"""Stands for the digest of an image that was never pushed, in a preview."""
NO_REGISTRY = "registry.invalid"
"""Stands for a registry that is not set, in a preview (RFC 2606: no host has such a name)."""


@dataclass(frozen=True, kw_only=True)
class ImageResolver:
    """`registry`: where pushed images are (`registry/NAME@digest`), None where it is not said.
    `digests`: by logical image (`strata:imageDigests`), what was pushed. `others`: images beside
    the catalogue that may be named there."""

    registry: str | None
    digests: Mapping[str, str]
    others: frozenset[str] = frozenset()

    def reference(self, name: str) -> str:
        """What a pod names: what was pushed, else the upstream image, else (in a preview of a stack
        whose images were not pushed) one that does not exist."""
        image = catalogue.IMAGES.get(name)
        if name not in self.digests and image is not None and image.upstream is not None:
            return image.upstream
        digest = self.digests.get(name, NOT_PUSHED)
        return f"{self.registry or NO_REGISTRY}/{name}@{digest}"

    def problems(self, workloads: Iterable[Workload]) -> Iterator[Problem]:
        """What nobody knows of. What was not pushed yet is told by `not_pushed`."""
        for workload in workloads:
            for field, image in (("image", workload.image), ("gpu.image", workload.gpu.image)):
                if image is not None and image not in catalogue.IMAGES:
                    yield Problem(
                        f"{workload.path}: {field}",
                        f"the catalogue has no image {image}",
                        f"use one of: {', '.join(catalogue.IMAGES)} (strata/images/catalogue.py)",
                    )
        for name in self.digests:
            if name not in catalogue.IMAGES and name not in self.others:
                known = sorted({*catalogue.IMAGES, *self.others})
                yield Problem(
                    f"strata:imageDigests.{name}",
                    "there is no such image",
                    f"use one of: {', '.join(known)}",
                )
        if self.registry is None and self.digests:
            yield Problem(
                "strata:imageDigests",
                "are of images in a registry, and which one is not said",
                "set strata:kubernetes.registry to where they were pushed",
            )


def not_pushed(references: Mapping[str, str], stack: str, namespace: str) -> Iterator[Problem]:
    """What is missing before pods can run. `references`: by logical image, what pods name."""
    for name, reference in sorted(references.items()):
        if reference.endswith(NOT_PUSHED):
            yield Problem(
                f"strata:imageDigests.{name}",
                f"the image was never pushed for {namespace}",
                f"run `make push STACK={stack}`, which builds it, pushes it and writes its digest",
            )
