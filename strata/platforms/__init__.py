"""Platforms: each turns a composition into a plan, and a plan into resources."""

from typing import TYPE_CHECKING, Any

from strata.config import PlatformName, Settings

if TYPE_CHECKING:
    from strata.stack import Platform


def choose(settings: Settings, project: str, stack: str) -> "Platform[Any]":
    """The platform that the settings name. Only that platform's SDK is imported."""
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
