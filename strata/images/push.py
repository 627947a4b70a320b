"""Pushes images to a registry, by digest: AWS ECR gives the login, the Docker engine pushes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, NotFound
from requests.exceptions import RequestException

from strata.images.engine import ImageError
from strata.images.source import Source, resolve

Report = Callable[[str, str], None]
"""Takes the name of an image and what it is at."""

SHORT_DIGEST = 12
"""Hexadecimal digits of an upstream image's tag: as many as the tag of an own image has."""

NO_REPOSITORY = 3
"""The exit status of the command where a repository is missing: whoever calls it may make it."""


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
    """A client of ECR, by the credentials that AWS's tools find."""
    # Imported here: it takes a third of a second, and only pushing needs it.
    import boto3

    return boto3.client("ecr", region_name=region)


def log_in(ecr: Any, account: str, region: str, prefix: str) -> Registry:
    """The registry of an account, with a login of some hours. Raises `ImageError`."""
    # boto3 is in the environments of clouds and tests alone.
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = ecr.get_authorization_token()["authorizationData"][0]
    except (BotoCoreError, ClientError) as error:
        raise ImageError(
            f"AWS gives no login for the image registry of account {account} in {region}: {error}. "
            "Set up credentials that may push (`aws sts get-caller-identity` shows whose they are; "
            "AWS_PROFILE chooses), then run this again."
        ) from error
    user, _, password = base64.b64decode(answer["authorizationToken"]).decode().partition(":")
    host = f"{account}.dkr.ecr.{region}.amazonaws.com"
    return Registry(host=host, prefix=prefix, user=user, password=password)


def missing_repositories(ecr: Any, account: str, registry: Registry, names: list[str]) -> list[str]:
    """The images for which the registry has no repository. Raises `ImageError`."""
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
                    f"AWS does not show the repository {repository} of account {account}: {error}. "
                    "See that the credentials are of this account and may push, then run this again."
                ) from error
            missing.append(name)
    return missing


def tag_of(reference: str) -> str:
    """The tag that an image is pushed under: it follows from its content, so it never moves."""
    name, at, digest = reference.partition("@sha256:")
    return digest[:SHORT_DIGEST] if at else name.rpartition(":")[2]


def push(
    client: docker.DockerClient, registry: Registry, name: str, source: Source, report: Report
) -> tuple[str, bool]:
    """Pushes an image that the engine has; gives its digest, and whether it had to be pushed.

    Raises `ImageError` where the registry refuses.
    """
    reference = resolve(name, source)
    repository, tag = registry.repository(name), tag_of(reference)
    try:
        there = _digest(client, registry, f"{repository}:{tag}")
        if there is not None:
            return there, False
        client.api.tag(reference, repository, tag)
        try:
            return _push(client, registry, name, tag, report), True
        finally:
            client.api.remove_image(f"{repository}:{tag}", noprune=True)
    except (APIError, RequestException) as error:
        said = (error.explanation if isinstance(error, APIError) else None) or error
        raise ImageError(
            f"{name} was not pushed to {repository}: {said}. "
            "See that the engine reaches the registry, then run this again."
        ) from error


def _digest(client: docker.DockerClient, registry: Registry, reference: str) -> str | None:
    """The digest that the registry has under a tag, or None."""
    try:
        found = client.images.get_registry_data(reference, auth_config=registry.login)
    except NotFound:
        return None
    except APIError as error:
        # Engines say of an unknown tag what the registry said, by one status or another.
        if "manifest unknown" in str(error).lower():
            return None
        raise
    return str(found.id)


def _push(
    client: docker.DockerClient, registry: Registry, name: str, tag: str, report: Report
) -> str:
    repository = registry.repository(name)
    layers: dict[str, tuple[int, int]] = {}
    digest = ""
    for line in client.api.push(
        repository, tag, auth_config=registry.login, stream=True, decode=True
    ):
        if problem := line.get("error"):
            raise ImageError(
                f"{name} was not pushed to {repository}: {problem}. "
                "See that its repository is there and that the credentials may push to it."
            )
        progress = line.get("progressDetail") or {}
        if "total" in progress:
            layers[line["id"]] = (progress.get("current", 0), progress["total"])
            done, total = (sum(part) / 1e6 for part in zip(*layers.values(), strict=True))
            report(name, f"{min(done, total):.0f} of {total:.0f} MB")
        digest = (line.get("aux") or {}).get("Digest", digest)
    if not digest:
        raise ImageError(f"{name} was pushed to {repository}, and the engine gave no digest of it.")
    return digest
