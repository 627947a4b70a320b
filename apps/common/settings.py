"""The environment of a service, typed."""

from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings

from apps.common.errors import SettingsError


class ListenSettings(BaseSettings):
    """Where a service listens. `listen_addresses`: IPv4 addresses, comma-separated, each bound by
    itself."""

    listen_addresses: str = "127.0.0.1"
    listen_port: int = Field(default=8000, ge=1, le=65535)


Settings = TypeVar("Settings", bound=BaseSettings)


def load(kind: type[Settings]) -> Settings:
    """Reads the environment. Raises `SettingsError` that names each bad variable, and never its
    value."""
    try:
        return kind()
    except ValidationError as error:
        problems = "; ".join(
            f"{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SettingsError(problems) from None
