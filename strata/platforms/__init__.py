"""Platforms: what turns services, jobs and links into resources."""

from strata.config import PlatformName, Settings
from strata.platforms.platform import Platform


def choose(settings: Settings, project: str, stack: str) -> Platform:
    """The platform of a stack. Only the one that is used is imported."""
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
