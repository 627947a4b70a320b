"""The environment of the API and the worker."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from apps.common.settings import DatabaseSettings, ListenSettings, RedisSettings


class BrokerSettings(BaseSettings):
    """RabbitMQ. `rabbitmq_name` is the virtual host. `rabbitmq_ca_file`: the authority of its certificate,
    if it requires TLS. `rabbitmq_certificate_file`, with its key: the client's, if it requires one."""

    rabbitmq_host: str = "rabbitmq"
    rabbitmq_port: int = 5672
    rabbitmq_user: str = "strata"
    rabbitmq_name: str = "strata"
    rabbitmq_password_file: Path = Path("/run/secrets/rabbitmq_password")
    rabbitmq_ca_file: Path | None = None
    rabbitmq_certificate_file: Path | None = None
    rabbitmq_private_key_file: Path | None = None


class CacheSettings(RedisSettings):
    """Redis. An optional help: without it searches are slower, and that is all."""

    cache_seconds: int = Field(default=3600, ge=1)


class EmbedderSettings(BaseSettings):
    """The inference service."""

    inference_url: str = "http://inference:8000"
    inference_timeout_s: float = Field(default=20.0, gt=0)


class ApiSettings(
    ListenSettings, DatabaseSettings, BrokerSettings, CacheSettings, EmbedderSettings
):
    """Everything the API reads."""


class ConsumerSettings(BrokerSettings):
    """The consumer of the queue. `attempts_max`: how often a document may be refused before it
    counts as failed. `sweep_after_s`: how long a document may be queued before the sweeper asks
    whether its message was lost."""

    prefetch: int = Field(default=32, ge=1, le=1000)
    attempts_max: int = Field(default=5, ge=1)
    sweep_interval_s: float = Field(default=10.0, gt=0)
    sweep_after_s: float = Field(default=30.0, ge=0)


class WorkerSettings(ListenSettings, DatabaseSettings, ConsumerSettings, EmbedderSettings):
    """Everything the worker reads."""
