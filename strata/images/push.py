"""Pushes images to AWS ECR through the Docker engine, by digest; those for several platforms as one index."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strata import docker_engine
from strata.errors import DockerError, ImageError, MissingRepositoryError
from strata.images import catalogue
from strata.images.platforms import Platform, of_engine, reference_for, suffix
from strata.images.source import Source, resolve

if TYPE_CHECKING:
    import docker

INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
MANIFESTS = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
REQUEST_SECONDS = 60

SHORT_DIGEST = 12
"""Hexadecimal digits of an upstream image's tag: as many as the tag of an image that we build."""


@dataclass(frozen=True, kw_only=True)
class Registry:
    """`prefix` comes before the name of each image: the cluster's name."""

    host: str
    prefix: str
    user: str
    password: str

    def repository(self, name: str) -> str:
        return f"{self.host}/{self.prefix}/{name}"

    @property
    def login(self) -> dict[str, str]:
        return {"username": self.user, "password": self.password}

    def manifest_url(self, name: str, tag: str) -> str:
        """The address of a tag or digest (OCI distribution specification). As Docker, by HTTP on loopback."""
        scheme = "http" if self.host.startswith(("127.", "localhost")) else "https"
        return f"{scheme}://{self.host}/v2/{self.prefix}/{name}/manifests/{tag}"


def client_of(region: str) -> Any:
    """A client of ECR, with the credentials that AWS's tools use."""
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("ecr", region_name=region)
    except BotoCoreError as error:
        raise ImageError(
            f"AWS's configuration can't be used: {error}",
            "set AWS_PROFILE to one of `aws configure list-profiles`, then run this again",
        ) from None


def log_in(ecr: Any, account: str, region: str, prefix: str) -> Registry:
    """The registry of an account, with a login of some hours. Raises `ImageError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = ecr.get_authorization_token()["authorizationData"][0]
    except (BotoCoreError, ClientError) as error:
        raise ImageError(
            f"the login to the image registry of account {account} in {region} failed: {error}",
            "set up credentials that may push (`aws sts get-caller-identity` shows whose they are; "
            "AWS_PROFILE selects them), then run this again",
        ) from error
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    host = f"{account}.dkr.ecr.{region}.amazonaws.com"
    return Registry(host=host, prefix=prefix, user=user, password=password)


def check_repositories(ecr: Any, account: str, registry: Registry, names: list[str]) -> None:
    """Raises `MissingRepositoryError` unless the registry has a repository for each image."""
    from botocore.exceptions import BotoCoreError, ClientError

    missing: list[str] = []
    for name in names:
        repository = f"{registry.prefix}/{name}"
        try:
            ecr.describe_repositories(registryId=account, repositoryNames=[repository])
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if code != "RepositoryNotFoundException":
                raise ImageError(
                    f"the repository {repository} of account {account} can't be read: {error}",
                    "use credentials of this account that may push, then run this again",
                ) from error
            missing.append(name)
    if missing:
        raise MissingRepositoryError(
            f"the registry has no repository yet for {', '.join(missing)}",
            "create them: `make push` does",
        )


def tag_of(reference: str) -> str:
    """The tag to push an image as. It depends on the content only, so it never moves."""
    name, at, digest = reference.partition("@sha256:")
    return digest[:SHORT_DIGEST] if at else name.rpartition(":")[2]


def push(
    client: docker.DockerClient,
    registry: Registry,
    name: str,
    source: Source,
    progress: Callable[[str], None],
    platforms: Sequence[Platform] = (),
) -> tuple[str, bool]:
    """Pushes an image of the engine; returns its digest, and whether the registry lacked it. `platforms`:
    those that it was built for, by default the engine's. With several, it's the digest of an index.

    Raises `ImageError` if the registry rejects the image.
    """
    reference = resolve(name, source)
    repository, tag = registry.repository(catalogue.get(name).name), tag_of(reference)
    try:
        with docker_engine.errors(f"{name} was not pushed to {repository}"):
            if not platforms:
                return _push_tag(client, registry, name, (reference, tag), progress)
            whole = f"{tag}{suffix(platforms)}"
            if (present := _digest(client, registry, f"{repository}:{whole}")) is not None:
                return present, False
            own = of_engine(client)
            digests: dict[Platform, str] = {}
            for platform in platforms:
                built = reference_for(reference, platform, own)
                _check_platform(client, name, built, platform)
                pushed = (built, f"{tag}{suffix([platform])}")
                digests[platform], _ = _push_tag(client, registry, name, pushed, progress)
            if len(platforms) == 1:
                return digests[platforms[0]], True
            return _push_index(registry, catalogue.get(name).name, whole, digests), True
    except DockerError as error:
        fix = "check that the engine reaches the registry, then run this again"
        raise ImageError(error.message, fix) from error


def _check_platform(
    client: docker.DockerClient, name: str, reference: str, platform: Platform
) -> None:
    """Raises `ImageError` unless the image is for the platform. A Dockerfile may name another one."""
    attributes = client.images.get(reference).attrs
    found = f"{attributes['Os']}/{attributes['Architecture']}"
    if found != platform:
        raise ImageError(
            f"image {name} was built for {found}, not for {platform}",
            "remove --platform from the FROM of its last stage",
        )


def _push_tag(
    client: docker.DockerClient,
    registry: Registry,
    name: str,
    pushed: tuple[str, str],
    progress: Callable[[str], None],
) -> tuple[str, bool]:
    """Pushes an image, by its reference, as a tag. Returns its digest, and whether the registry lacked it."""
    reference, tag = pushed
    repository = registry.repository(catalogue.get(name).name)
    present = _digest(client, registry, f"{repository}:{tag}")
    if present is not None:
        return present, False
    client.api.tag(reference, repository, tag)
    try:
        return _push(client, registry, name, tag, progress), True
    finally:
        client.api.remove_image(f"{repository}:{tag}", noprune=True)


def _push_index(registry: Registry, repository: str, tag: str, digests: dict[Platform, str]) -> str:
    """Pushes an index of images that the registry has. Returns its digest."""
    # The engine has no call for it.
    import requests

    auth = (registry.user, registry.password)
    manifests = []
    for platform, digest in digests.items():
        answer = requests.get(
            registry.manifest_url(repository, digest),
            auth=auth,
            headers={"Accept": MANIFESTS},
            timeout=REQUEST_SECONDS,
        )
        answer.raise_for_status()
        manifests.append(
            {
                "mediaType": answer.headers["Content-Type"],
                "size": len(answer.content),
                "digest": digest,
                "platform": {"os": "linux", "architecture": platform.architecture},
            }
        )
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    requests.put(
        registry.manifest_url(repository, tag),
        data=body,
        auth=auth,
        headers={"Content-Type": INDEX},
        timeout=REQUEST_SECONDS,
    ).raise_for_status()
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _digest(client: docker.DockerClient, registry: Registry, reference: str) -> str | None:
    """The digest of a tag in the registry, or None."""
    from docker.errors import APIError, NotFound

    try:
        return str(client.images.get_registry_data(reference, auth_config=registry.login).id)
    except NotFound:
        return None
    except APIError as error:
        # The status for an unknown tag differs between engines; the registry's message does not.
        if "manifest unknown" in str(error).lower():
            return None
        raise


def _push(
    client: docker.DockerClient,
    registry: Registry,
    name: str,
    tag: str,
    progress: Callable[[str], None],
) -> str:
    repository = registry.repository(catalogue.get(name).name)
    layers: dict[str, tuple[int, int]] = {}
    digest = ""
    for line in client.api.push(
        repository, tag, auth_config=registry.login, stream=True, decode=True
    ):
        if problem := line.get("error"):
            raise ImageError(
                f"{name} was not pushed to {repository}: {problem}",
                "check that the repository exists and the credentials may push to it",
            )
        detail = line.get("progressDetail") or {}
        if "total" in detail:
            layers[line["id"]] = (detail.get("current", 0), detail["total"])
            done, total = (sum(part) / 1e6 for part in zip(*layers.values(), strict=True))
            progress(f"{min(done, total):.0f} of {total:.0f} MB")
        digest = (line.get("aux") or {}).get("Digest", digest)
    if not digest:
        raise ImageError(
            f"{name} was pushed to {repository}, but the engine returned no digest",
            "run this again",
        )
    return digest
