"""The way to PostgreSQL: a pool that reads the password for every new connection."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from apps.common import secret, traces
from apps.common.database import client_certificate
from apps.common.errors import UnavailableError, describe
from apps.common.settings import DatabaseSettings

LOG = logging.getLogger(__name__)
NAME = "postgresql"
CONNECT_TIMEOUT_S = 3
WAIT_FOR_CONNECTION_S = 3.0
HEALTH_WITHIN_S = 1.5
STATEMENT_TIMEOUT_MS = 10_000

Connection = psycopg.Connection[tuple[Any, ...]]


class Database:
    """A pool, which connects when it is first used: a process that forks has none to share."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            kwargs=self._parameters,
            min_size=0,
            max_size=settings.database_connections_max,
            timeout=WAIT_FOR_CONNECTION_S,
            reconnect_timeout=5.0,
            check=ConnectionPool.check_connection,
            open=False,
        )

    def _parameters(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "host": settings.database_host,
            "port": settings.database_port,
            "dbname": settings.database_name,
            "user": settings.database_user,
            "password": secret.read(settings.database_password_file),
            "sslmode": "verify-full",
            "sslrootcert": str(settings.database_ca_file),
            **client_certificate(settings),
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
        }

    def close(self) -> None:
        self._pool.close(timeout=2)

    @contextlib.contextmanager
    def connection(self, wait_s: float = WAIT_FOR_CONNECTION_S) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error. Raises
        `UnavailableError` when the database is away."""
        self._pool.open()
        try:
            with traces.span(NAME, "client"), self._pool.connection(wait_s) as connection:
                yield connection
        except (PoolTimeout, TooManyRequests) as error:
            raise UnavailableError(NAME, "no connection") from error
        except psycopg.errors.UndefinedTable as error:
            raise UnavailableError(NAME, "its tables don't exist yet") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise UnavailableError(NAME, describe(error)) from error

    def ping(self) -> None:
        """Raises `UnavailableError` unless the database answers, with its tables, now."""
        with self.connection(HEALTH_WITHIN_S) as connection:
            connection.execute("SELECT 1 FROM documents LIMIT 1")
