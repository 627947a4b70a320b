"""The images of a stack in a cluster: every reference by its digest."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from strata.errors import ImageError
from strata.folders import CHECKOUT
from strata.images import catalogue
from strata.model import Problem, Workload
from strata.platforms.images import check_images, name_of

NOT_PUSHED = f"sha256:{'0' * 64}"
"""The digest of an image that was never pushed, in a preview."""
NO_REGISTRY = "registry.invalid"
"""A registry that is not set, in a preview (RFC 2606: no host has such a name)."""


@dataclass(frozen=True, kw_only=True)
class ImageResolver:
    """`registry`: where pushed images are (`registry/NAME@digest`); None if it isn't set. `digests`:
    what was pushed, by logical image (`strata:imageDigests`). `others`: upstream references of
    images that aren't in the catalogue, which `digests` may name too."""

    registry: str | None
    digests: Mapping[str, str]
    others: Mapping[str, str] = field(default_factory=dict)

    def reference(self, name: str) -> str:
        """What a pod names: the pushed image, else the upstream one, else (in a preview of a stack
        whose images were not pushed) one that doesn't exist."""
        pushed = name_of(name)
        upstream = self.others.get(name) or _upstream(name)
        if pushed not in self.digests and upstream is not None:
            return upstream
        digest = self.digests.get(pushed, NOT_PUSHED)
        return f"{self.registry or NO_REGISTRY}/{pushed}@{digest}"

    def check(self, workloads: Sequence[Workload]) -> Iterator[Problem]:
        """Unknown images, and different ones of the same name. `not_pushed` reports those that were not
        pushed."""
        yield from check_images(workloads)
        yield from _same_name(workloads)
        names = {name_of(image) for one in workloads for image in one.images.values()}
        for name in self.digests:
            if name not in catalogue.IMAGES and name not in self.others and name not in names:
                fix = f"use one of: {', '.join(sorted({*catalogue.IMAGES, *self.others}))}"
                yield Problem(f"strata:imageDigests.{name}", "unknown image", fix)
        if self.registry is None and self.digests:
            yield Problem(
                "strata:imageDigests",
                "the registry of the images is not set",
                "set strata:kubernetes.registry to where they were pushed",
            )


def _same_name(workloads: Sequence[Workload]) -> Iterator[Problem]:
    """Images of the user that would have the same repository, and so the same digest."""
    first: dict[str, tuple[object, str]] = {}
    for workload in workloads:
        for argument, name in workload.images.items():
            try:
                image = catalogue.get(name)
            except ImageError:  # Reported by `check_images`.
                continue
            if image.build is None:
                continue
            path = f"{workload.path}: {argument}"
            content = (image.folder, image.build.options)
            other, other_path = first.setdefault(image.name, (content, path))
            if content != other:
                yield Problem(
                    path,
                    f"is pushed as {image.name}, and so is another image ({other_path})",
                    "give each another folder or target: a stage can be just FROM OTHER AS NAME",
                )


def _upstream(name: str) -> str | None:
    try:
        return catalogue.get(name).upstream_for_pods
    except ImageError:
        return None


def not_pushed(references: Mapping[str, str], stack: str, namespace: str) -> Iterator[Problem]:
    """Images that pods name and that were not pushed. `references`: by logical image."""
    for name, reference in sorted(references.items()):
        if reference.endswith(NOT_PUSHED):
            yield Problem(
                f"strata:imageDigests.{name_of(name)}",
                f"the image was never pushed for {namespace}",
                f"run `make push STACK={stack}`, which builds it, pushes it and writes its digest"
                if CHECKOUT
                else f"push it with `strata images push {shlex.quote(name)}`, and set this key to its digest "
                "(docs/components/README.md)",
            )
