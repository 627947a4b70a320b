"""The way to Redis: a client that reads the password anew for every connection."""

import asyncio
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from prometheus_client import Counter
from redis.asyncio.cluster import RedisCluster
from redis.credentials import CredentialProvider

from apps.common import secret
from apps.common.settings import RedisSettings

CONNECTIONS_MAX = 32
LOOKUPS = Counter("cache_lookups_total", "Lookups in the cache, by result.", ["result"])


class _Password(CredentialProvider):
    """Read for every connection, so that a rotated password counts."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings

    def get_credentials(self) -> tuple[str, str]:
        return (self._settings.redis_user, secret.read(self._settings.redis_password_file))

    async def get_credentials_async(self) -> tuple[str, str]:
        return await asyncio.to_thread(self.get_credentials)


def tls_options(settings: RedisSettings) -> dict[str, Any]:
    """The arguments of a client for TLS, if Redis requires it."""
    if settings.redis_ca_file is None:
        return {}
    return {
        "ssl": True,
        "ssl_ca_certs": str(settings.redis_ca_file),
        "ssl_certfile": _text(settings.redis_certificate_file),
        "ssl_keyfile": _text(settings.redis_private_key_file),
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def connect(
    settings: RedisSettings, within_s: float, connections_max: int = CONNECTIONS_MAX
) -> redis.Redis:
    """A client that connects at its first command. `within_s`: the patience with a connection and with
    an answer. A command beyond `connections_max` at the same time fails."""
    return redis.Redis(
        host=settings.redis_host,
        port=settings.redis_port,
        credential_provider=_Password(settings),
        socket_timeout=within_s,
        socket_connect_timeout=within_s,
        max_connections=connections_max,
        **tls_options(settings),
    )


def connect_cluster(settings: RedisSettings, within_s: float) -> RedisCluster:
    """The same for a Redis Cluster, by the name that all of its nodes have."""
    return RedisCluster(
        host=settings.redis_host,
        port=settings.redis_port,
        credential_provider=_Password(settings),
        socket_timeout=within_s,
        socket_connect_timeout=within_s,
        max_connections=CONNECTIONS_MAX,
        **tls_options(settings),
    )
