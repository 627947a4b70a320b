"""The environment of the web application and the worker."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from apps.common.settings import DatabaseSettings, ListenSettings, RedisSettings


class BrokerSettings(RedisSettings):
    """Redis."""

    cache_seconds: int = Field(default=60, ge=1)


class SearchSettings(BaseSettings):
    """OpenSearch. `search_user`, with its password, and `search_ca_file`, the authority of its certificate:
    if it is a managed one, which requires a login and TLS."""

    search_host: str = "search"
    search_port: int = 9200
    search_user: str | None = None
    search_password_file: Path | None = None
    search_ca_file: Path | None = None


class WebSettings(ListenSettings, DatabaseSettings, BrokerSettings, SearchSettings):
    """Everything that the web application reads. `sweep_after_s`: how long a document may be queued
    before its task counts as lost."""

    sweep_interval_s: float = Field(default=10.0, gt=0)
    sweep_after_s: float = Field(default=90.0, gt=0)


class WorkerSettings(DatabaseSettings, BrokerSettings, SearchSettings):
    """Everything that the worker reads. Without `smtp_host`, it sends no mail."""

    smtp_host: str | None = None
    smtp_port: int = 1025
    mail_from: str = "project88@localhost"
    mail_to: str = "documents@localhost"
