"""Pushes images to AWS ECR through the Docker engine, by digest."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strata import docker_engine
from strata.errors import DockerError, ImageError, MissingRepositoryError
from strata.images import catalogue
from strata.images.source import Source, resolve

if TYPE_CHECKING:
    import docker

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
) -> tuple[str, bool]:
    """Pushes an image of the engine; returns its digest, and whether the registry lacked it.

    Raises `ImageError` if the registry rejects the image.
    """
    reference = resolve(name, source)
    repository, tag = registry.repository(catalogue.get(name).name), tag_of(reference)
    try:
        with docker_engine.errors(f"{name} was not pushed to {repository}"):
            present = _digest(client, registry, f"{repository}:{tag}")
            if present is not None:
                return present, False
            client.api.tag(reference, repository, tag)
            try:
                return _push(client, registry, name, tag, progress), True
            finally:
                client.api.remove_image(f"{repository}:{tag}", noprune=True)
    except DockerError as error:
        fix = "check that the engine reaches the registry, then run this again"
        raise ImageError(error.message, fix) from error


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
