"""The environment of the intelligence service."""

from pydantic import Field

from apps.common.settings import DatabaseSettings, ListenSettings, RedisSettings


class IntelligenceSettings(ListenSettings, DatabaseSettings, RedisSettings):
    """`cache_seconds`: how long an insight is cached, unless the API removes it before."""

    cache_seconds: int = Field(default=60, ge=1)
