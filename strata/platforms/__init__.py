"""Platforms: each turns a composition into a plan, and a plan into resources."""

from typing import TYPE_CHECKING, Any

from strata.config import PlatformName, Settings
from strata.errors import InvalidStackError, Problem

if TYPE_CHECKING:
    from strata.stack import Platform

# The SDKs of the extras `docker`, `kubernetes` and `eks`.
SDKS = ("boto3", "botocore", "kubernetes", "pulumi_aws", "pulumi_docker", "pulumi_kubernetes")


def choose(settings: Settings, project: str, stack: str) -> "Platform[Any]":
    """The platform that the settings name. Raises `InvalidStackError` if its SDK isn't installed."""
    try:
        # Each branch imports only the SDK of its platform.
        match settings.platform:
            case PlatformName.DOCKER:
                from strata.platforms import docker

                return docker.create(settings, project, stack)
            case PlatformName.EKS:
                from strata.platforms import eks

                return eks.create(settings, project, stack)
            case PlatformName.KUBERNETES:
                from strata.platforms import kubernetes

                return kubernetes.create(settings, project, stack)
    except ModuleNotFoundError as error:
        if error.name not in SDKS:
            raise
        raise InvalidStackError(
            [
                Problem(
                    "strata:platform",
                    f"{settings.platform} needs the Python package {error.name}, which is not installed",
                    f"run `make setup STACK={stack}`, or install strata[{settings.platform}]",
                )
            ]
        ) from None
