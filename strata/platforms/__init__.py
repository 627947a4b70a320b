"""Platforms: each turns a composition into a plan, and a plan into resources."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from strata.config import PlatformName, Settings
from strata.errors import InvalidStackError, Problem

if TYPE_CHECKING:
    from strata.stack import Platform

# The packages of the extras `docker`, `kubernetes` and `eks`.
SDKS = (
    "boto3",
    "botocore",
    "grafana_foundation_sdk",
    "kubernetes",
    "pulumi_aws",
    "pulumi_docker",
    "pulumi_kubernetes",
)


def choose(settings: Settings, project: str, stack: str) -> "Platform[Any]":
    """The platform that the settings name. Each branch imports only the SDK of its platform."""
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


@contextmanager
def missing_sdk_reported(settings: Settings, stack: str) -> Iterator[None]:
    """Raises `InvalidStackError` if the block imports an SDK of the platform that isn't installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in SDKS:
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
