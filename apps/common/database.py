"""The way to PostgreSQL: a pool that reads the password anew for every connection, and says when
the database is down."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from apps.common import secret, traces
from apps.common.errors import UnavailableError, describe
from apps.common.retry import Backoff
from apps.common.settings import DatabaseSettings

LOG = logging.getLogger(__name__)
NAME = "postgresql"
CONNECT_TIMEOUT_S = 3
WAIT_FOR_CONNECTION_S = 3.0
STATEMENT_TIMEOUT_MS = 10_000
HEALTH_WITHIN_S = 1.5

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def client_certificate(settings: DatabaseSettings) -> dict[str, str]:
    """The parameters of a connection for the client's certificate, if PostgreSQL requires one."""
    if settings.database_certificate_file is None:
        return {}
    return {
        "sslcert": str(settings.database_certificate_file),
        "sslkey": str(settings.database_private_key_file),
    }


class Database:
    """Open it, use `connection()`, close it. `table`: one whose absence makes it unavailable."""

    def __init__(self, settings: DatabaseSettings, table: str) -> None:
        self._settings = settings
        self._table = sql.Identifier(table)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs=self._parameters,
            min_size=1,
            max_size=settings.database_connections_max,
            timeout=WAIT_FOR_CONNECTION_S,
            # A pool that has given up must start again by itself: the database may be away for
            # long.
            reconnect_timeout=5.0,
            # A connection that died with the database is found out before it is handed out.
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def _parameters(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "host": settings.database_host,
            "port": settings.database_port,
            "dbname": settings.database_name,
            "user": settings.database_user,
            "password": await asyncio.to_thread(secret.read, settings.database_password_file),
            "sslmode": "verify-full",
            "sslrootcert": str(settings.database_ca_file),
            **client_certificate(settings),
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}",
            # A peer that vanished without a word is noticed within about ten seconds.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": STATEMENT_TIMEOUT_MS,
        }

    async def open(self) -> None:
        """Starts connecting; does not wait for it."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self._pool.close(timeout=2)

    @contextlib.asynccontextmanager
    async def connection(self, wait_s: float = WAIT_FOR_CONNECTION_S) -> AsyncIterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an error.

        Raises `UnavailableError` when the database is away, also when it goes away half way: then
        nobody knows whether the transaction was committed, so everything done here must be safe to
        do again.
        """
        try:
            with traces.span(NAME, "client"):
                async with self._pool.connection(timeout=wait_s) as connection:
                    yield connection
        except (PoolTimeout, TooManyRequests) as error:
            raise UnavailableError(NAME, "no connection") from error
        except psycopg.errors.UndefinedTable as error:
            raise UnavailableError(NAME, "its tables are not there yet") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise UnavailableError(NAME, describe(error)) from error

    async def ping(self) -> None:
        """Raises `UnavailableError` unless the database answers, with its tables, now."""
        try:
            async with (
                asyncio.timeout(HEALTH_WITHIN_S),
                self.connection(HEALTH_WITHIN_S) as connection,
            ):
                await connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(self._table))
        except TimeoutError:
            raise UnavailableError(NAME, f"no answer within {HEALTH_WITHIN_S} s") from None

    async def ensure_schema(self, create: Callable[[Connection], Awaitable[None]]) -> None:
        """Creates the tables, however long the database takes to come up."""
        backoff = Backoff(0.1, 2.0)
        while True:
            try:
                async with self.connection() as connection:
                    await create(connection)
            except (UnavailableError, psycopg.Error) as error:
                LOG.warning("the tables cannot be made yet", extra={"reason": describe(error)})
                await asyncio.sleep(backoff.next_s())
            else:
                LOG.info("the tables are there")
                return
