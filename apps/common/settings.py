"""The environment of a service, typed."""

from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings

from apps.common.errors import SettingsError


class ListenSettings(BaseSettings):
    """Where a service listens. `listen_addresses`: IPv4 addresses, comma-separated, each bound by
    itself."""

    listen_addresses: str = "127.0.0.1"
    listen_port: int = Field(default=8000, ge=1, le=65535)


class MutualTlsSettings(BaseSettings):
    """The certificates of a service as a server and as a client, with their key, and the authority by
    which it verifies others."""

    tls_certificate_file: Path = Path("/run/secrets/certificate.pem")
    tls_client_certificate_file: Path = Path("/run/secrets/client-certificate.pem")
    tls_private_key_file: Path = Path("/run/secrets/private-key.pem")
    tls_ca_file: Path = Path("/run/secrets/ca.pem")


class MutualTlsListenSettings(ListenSettings, MutualTlsSettings):
    """A service that listens with mutual TLS, on addresses and a port as in `ListenSettings`. Without
    TLS, it serves only its health."""

    tls_listen_addresses: str = "127.0.0.1"
    tls_listen_port: int = Field(default=8443, ge=1, le=65535)


class DatabaseSettings(BaseSettings):
    """PostgreSQL. `database_certificate_file`, with its key: the client's, if the server requires one."""

    database_host: str = "postgres"
    database_port: int = 5432
    database_name: str = "documents"
    database_user: str = "strata"
    database_password_file: Path = Path("/run/secrets/database_password")
    database_ca_file: Path = Path("/run/secrets/database_ca.pem")
    database_certificate_file: Path | None = None
    database_private_key_file: Path | None = None
    database_connections_max: int = Field(default=10, ge=1, le=200)


class RedisSettings(BaseSettings):
    """Redis. `redis_ca_file`: the authority of its certificate, if it requires TLS.
    `redis_certificate_file`, with its key: the client's, if it requires one."""

    redis_host: str = "redis"
    redis_port: int = 6379
    redis_user: str = "strata"
    redis_password_file: Path = Path("/run/secrets/redis_password")
    redis_ca_file: Path | None = None
    redis_certificate_file: Path | None = None
    redis_private_key_file: Path | None = None


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
