"""Platforms: what turns services and links into resources."""

from config import Settings
from platforms.platform import Platform


def choose(settings: Settings, project: str, stack: str) -> Platform:
    """The platform of a stack. Only the one that is used is imported."""
    from platforms.docker import create

    return create(settings, project, stack)
