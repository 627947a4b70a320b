"""The images of a stack: resolves logical names to references, and builds or pulls what is missing."""

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import pulumi

from strata.config.settings import RegistryCredentials
from strata.images.source import Source, resolve


class ImageResolver:
    """Resolves logical images for one engine, from one source."""

    def __init__(
        self,
        client: Any,
        source: Source,
        registries: Mapping[str, RegistryCredentials] = MappingProxyType({}),
    ) -> None:
        self._client = client
        self._source = source
        self._registries = registries
        self._ids: dict[str, str] | None = None

    def reference(self, image: str) -> str:
        """The reference of a logical image: the tag of a local build, or an upstream digest."""
        return resolve(image, self._source)

    def ensure(self, images: Iterable[str]) -> None:
        """Builds or pulls the images that the engine lacks. A preview does neither."""
        missing = sorted({image for image in images if self._id(image) is None})
        if not missing or pulumi.runtime.is_dry_run():
            return
        from strata.images.build import Login, build

        logins = {
            host: Login(one.username, one.password.get_secret_value())
            for host, one in self._registries.items()
        }

        def report(name: str, progress: str) -> None:
            pulumi.log.info(f"image {name}: {progress or 'ready'}", ephemeral=bool(progress))

        build(self._client, missing, self._source, report, logins)
        self._ids = None

    def digest(self, image: str) -> pulumi.Input[str]:
        """What a container references: the upstream digest, or the id of the local build, which is a
        digest too. Unknown in a preview before the first build."""
        reference = self.reference(image)
        if "@sha256:" in reference:
            return reference
        return self._id(image) or _unknown()

    def _id(self, image: str) -> str | None:
        if self._ids is None:
            self._ids = {
                reference: str(listed["Id"])
                for listed in self._client.api.images()
                for reference in [*(listed["RepoTags"] or ()), *(listed["RepoDigests"] or ())]
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
