"""The images of a stack: which reference a logical image is, and that the engine has it."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pulumi

from strata.images import catalogue
from strata.images.source import Source, resolve
from strata.model import InvalidStackError, Problem, Workload


class ImageResolver:
    """Resolves logical images by one source, for one engine."""

    def __init__(self, client: Any, source: Source) -> None:
        self._client = client
        self._source = source
        self._ids: dict[str, str] | None = None

    def reference(self, image: str) -> str:
        """The reference of a logical image: a tag made here, or a digest upstream."""
        return resolve(image, self._source)

    def problems(self, workloads: Iterable[Workload]) -> Iterable[Problem]:
        for workload in workloads:
            for field, image in (("image", workload.image), ("gpu.image", workload.gpu.image)):
                if image is not None and image not in catalogue.IMAGES:
                    yield Problem(
                        f"{workload.path}: {field}",
                        f"the catalogue has no image {image}",
                        f"use one of: {', '.join(catalogue.IMAGES)} (strata/images/catalogue.py)",
                    )

    def ensure(self, images: Iterable[str]) -> None:
        """Builds or pulls what the engine lacks of these, saying so. A preview makes nothing."""
        missing = sorted({image for image in images if self._id(image) is None})
        if not missing or pulumi.runtime.is_dry_run():
            return
        from strata.images.build import build
        from strata.images.engine import ImageError

        def say(name: str, text: str) -> None:
            pulumi.log.info(f"image {name}: {text or 'ready'}", ephemeral=bool(text))

        try:
            build(missing, self._source, say, self._client)
        except ImageError as error:
            raise InvalidStackError(
                [Problem("images", str(error), "see `make images`, which shows the whole build")]
            ) from None
        self._ids = None

    def of(self, image: str) -> pulumi.Input[str]:
        """What a container names: the digest upstream, or the id of the local build, which is a
        digest too. Unknown in a preview before the first build."""
        reference = self.reference(image)
        if "@sha256:" in reference:
            return reference
        return self._id(image) or _unknown()

    def _id(self, image: str) -> str | None:
        if self._ids is None:
            self._ids = {
                reference: str(one["Id"])
                for one in self._client.api.images()
                for reference in [*(one["RepoTags"] or ()), *(one["RepoDigests"] or ())]
            }
        reference = self.reference(image)
        # The engine shortens the names of its default registry.
        short = reference.removeprefix("docker.io/library/").removeprefix("docker.io/")
        return self._ids.get(reference) or self._ids.get(short)


def _unknown() -> pulumi.Output[str]:
    value: asyncio.Future[str] = asyncio.Future()
    value.set_result("")
    known: asyncio.Future[bool] = asyncio.Future()
    known.set_result(False)
    return pulumi.Output(set(), value, known)
