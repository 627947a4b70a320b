"""The environment of the API and the worker."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from apps.common.settings import ListenSettings


class DatabaseSettings(BaseSettings):
    """PostgreSQL."""

    database_host: str = "postgres"
    database_port: int = 5432
    database_name: str = "documents"
    database_user: str = "strata"
    database_password_file: Path = Path("/run/secrets/database_password")
    database_ca_file: Path = Path("/run/secrets/database_ca.pem")
    database_connections_max: int = Field(default=10, ge=1, le=200)


class BrokerSettings(BaseSettings):
    """RabbitMQ. `rabbitmq_name` is the virtual host."""

    rabbitmq_host: str = "rabbitmq"
    rabbitmq_port: int = 5672
    rabbitmq_user: str = "strata"
    rabbitmq_name: str = "strata"
    rabbitmq_password_file: Path = Path("/run/secrets/rabbitmq_password")


class CacheSettings(BaseSettings):
    """Redis. An optional help: without it searches are slower, and that is all."""

    redis_host: str = "redis"
    redis_port: int = 6379
    redis_user: str = "strata"
    redis_password_file: Path = Path("/run/secrets/redis_password")
    cache_seconds: int = Field(default=3600, ge=1)


class EmbedderSettings(BaseSettings):
    """The inference service."""

    inference_url: str = "http://inference:8000"
    inference_timeout_s: float = Field(default=20.0, gt=0)


class ApiSettings(
    ListenSettings, DatabaseSettings, BrokerSettings, CacheSettings, EmbedderSettings
):
    """Everything the API reads."""


class WorkerSettings(ListenSettings, DatabaseSettings, BrokerSettings, EmbedderSettings):
    """Everything the worker reads. `attempts_max`: how often a document may be refused before it
    counts as failed. `sweep_after_s`: how long a document may be queued before the sweeper asks
    whether its message was lost."""

    prefetch: int = Field(default=32, ge=1, le=1000)
    attempts_max: int = Field(default=5, ge=1)
    sweep_interval_s: float = Field(default=10.0, gt=0)
    sweep_after_s: float = Field(default=30.0, ge=0)
