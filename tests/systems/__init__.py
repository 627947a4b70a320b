"""Systems that only tests bring up; a test's project has this folder in the place of systems/."""

from collections.abc import Callable
from importlib import import_module

from config import Settings
from platforms.platform import Platform

Compose = Callable[[Platform, Settings], None]


def find(name: str) -> Compose:
    compose: Compose = import_module(f"systems.{name}").compose
    return compose
