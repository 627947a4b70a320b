"""The way to Memgraph: which player was advised which play, and how often."""

from typing import Any

from neo4j import AsyncGraphDatabase, AsyncManagedTransaction, TrustCustomCAs
from neo4j.auth_management import AsyncAuthManagers
from neo4j.exceptions import DriverError, Neo4jError

from apps.common import secret, traces
from apps.common.errors import UnavailableError, describe
from apps.jimbot.plays import Advice
from apps.jimbot.settings import MemgraphSettings

NAME = "memgraph"
WITHIN_S = 5.0
ADD = """
MERGE (player:Player {name: $player})
MERGE (hand:Hand {name: $name}) ON CREATE SET hand.plays = 0
MERGE (player)-[advised:ADVISED]->(hand) ON CREATE SET advised.times = 0
SET hand.plays = hand.plays + 1, advised.times = advised.times + 1
"""
# Of the query module in mage_modules.
RANKING = "CALL plays.ranking() YIELD name, plays RETURN name, plays ORDER BY plays DESC, name"


class Graph:
    """A pool of connections to Memgraph, over TLS."""

    def __init__(self, settings: MemgraphSettings) -> None:
        async def login() -> tuple[str, str]:
            # Called again after it was rejected, so that a rotated password counts.
            return (settings.memgraph_user, secret.read(settings.memgraph_password_file))

        self._driver = AsyncGraphDatabase.driver(
            f"bolt://{settings.memgraph_host}:{settings.memgraph_port}",
            auth=AsyncAuthManagers.basic(login),
            encrypted=True,
            trusted_certificates=TrustCustomCAs(str(settings.memgraph_ca_file)),
            connection_timeout=WITHIN_S,
            connection_acquisition_timeout=WITHIN_S,
            max_transaction_retry_time=WITHIN_S,
            user_agent="jimbot",
        )

    async def close(self) -> None:
        await self._driver.close()

    async def add(self, advice: Advice) -> None:
        """Returns once the transaction is on disk. Raises `UnavailableError`."""

        async def write(transaction: AsyncManagedTransaction) -> None:
            result = await transaction.run(ADD, player=advice.player, name=advice.name)
            await result.consume()

        try:
            with traces.span(NAME, "client"):
                async with self._driver.session() as session:
                    await session.execute_write(write)
        except (DriverError, Neo4jError) as error:
            raise UnavailableError(NAME, describe(error)) from error

    async def ranking(self) -> list[dict[str, Any]]:
        """The plays that were advised most often, of all players."""
        return await self._read(RANKING)

    async def ping(self) -> None:
        """Raises `UnavailableError` unless Memgraph answers a query."""
        await self._read("RETURN 1")

    async def _read(self, query: str) -> list[dict[str, Any]]:
        async def read(transaction: AsyncManagedTransaction) -> list[dict[str, Any]]:
            return await (await transaction.run(query)).data()

        try:
            with traces.span(NAME, "client"):
                async with self._driver.session() as session:
                    return await session.execute_read(read)
        except (DriverError, Neo4jError) as error:
            raise UnavailableError(NAME, describe(error)) from error
