"""The images of a stack: resolves logical names to references, and builds or pulls what is missing."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pulumi

from strata import docker_engine
from strata.config.settings import RegistryCredentials
from strata.errors import DockerError, Problem, raise_problems
from strata.images.source import Source, resolve

if TYPE_CHECKING:
    from strata.images.build import Login


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

    def ensure(self, images: Mapping[str, str]) -> None:
        """Builds or pulls the images that the engine lacks. A preview does neither. `images`: by
        workload.

        Raises `InvalidStackError`, before anything is built, with every workload whose image can't be
        pulled.
        """
        missing = sorted({image for image in images.values() if self._id(image) is None})
        if not missing or pulumi.runtime.is_dry_run():
            return
        from strata.images.build import Login, build

        logins = {
            host: Login(one.username, one.password.get_secret_value())
            for host, one in self._registries.items()
        }
        raise_problems(self._unavailable(images, missing, logins))

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

    def _unavailable(
        self, images: Mapping[str, str], missing: list[str], logins: Mapping[str, "Login"]
    ) -> Iterator[Problem]:
        def reason(image: str) -> str | None:
            reference = self.reference(image)
            login = logins.get(reference.partition("/")[0])
            try:
                with docker_engine.errors(reference):
                    self._client.api.inspect_distribution(
                        reference, auth_config=login.auth_config if login else None
                    )
            except DockerError as error:
                return error.message
            return None

        pulled = [image for image in missing if "@sha256:" in self.reference(image)]
        with ThreadPoolExecutor() as pool:
            reasons = dict(zip(pulled, pool.map(reason, pulled), strict=True))
        for workload, image in images.items():
            if why := reasons.get(image):
                yield Problem(
                    f"{workload}: image",
                    f"can't be pulled: {why}",
                    "make its registry reachable, or leave the workload out: "
                    f"strata:services.{workload}.enabled: false",
                )

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
