"""The way to QuestDB: a row for each play."""

import time
from typing import Any

import httpx2

from apps.common import secret, traces
from apps.common.errors import UnavailableError, describe
from apps.jimbot.plays import Advice
from apps.jimbot.settings import QuestdbSettings

NAME = "questdb"
WITHIN_S = 5.0
TABLE = """
CREATE TABLE IF NOT EXISTS plays (
    player SYMBOL, name SYMBOL, id VARCHAR, cards VARCHAR, score LONG, beats DOUBLE, at TIMESTAMP
) TIMESTAMP(at) PARTITION BY MONTH WAL DEDUP UPSERT KEYS(at, id)
"""


class Measurements:
    """The table of plays. Its rows are sent as lines (InfluxDB's protocol) and queried with SQL."""

    def __init__(
        self, settings: QuestdbSettings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._client = httpx2.AsyncClient(
            base_url=f"http://{settings.questdb_host}:{settings.questdb_port}",
            timeout=WITHIN_S,
            transport=transport,
        )
        self._has_table = False

    async def close(self) -> None:
        await self._client.aclose()

    async def add(self, advice: Advice) -> None:
        """Returns once the row is on disk. Raises `UnavailableError`."""
        await self._ensure_table()
        await self._send("POST", "/write", content=_line(advice, time.time_ns()))

    async def newest(self, player: str, count: int) -> list[dict[str, Any]]:
        """The player's newest plays, newest first. A row is visible a moment after it was added."""
        await self._ensure_table()
        # Names of players are checked by server.py: they have no quotes.
        answer = await self._query(
            f"SELECT id, cards, name, score, beats FROM plays WHERE player = '{player}'"  # noqa: S608
            f" ORDER BY at DESC LIMIT {count}"
        )
        columns = [column["name"] for column in answer["columns"]]
        return [dict(zip(columns, row, strict=True)) for row in answer["dataset"]]

    async def ping(self) -> None:
        """Raises `UnavailableError` unless QuestDB answers, with its table."""
        await self._ensure_table()
        await self._query("SELECT 1")

    async def _ensure_table(self) -> None:
        if not self._has_table:
            await self._query(TABLE)
            self._has_table = True

    async def _query(self, sql: str) -> Any:
        return (await self._send("GET", "/exec", params={"query": sql})).json()

    async def _send(self, method: str, path: str, **fields: Any) -> httpx2.Response:
        # Read for every request, so that a rotated password counts.
        password = secret.read(self._settings.questdb_password_file)
        try:
            with traces.span(NAME, "client"):
                response = await self._client.request(
                    method, path, auth=(self._settings.questdb_user, password), **fields
                )
                response.raise_for_status()
        except httpx2.HTTPError as error:
            raise UnavailableError(NAME, describe(error)) from error
        return response


def _line(advice: Advice, at_ns: int) -> str:
    """A row. Names of players and plays, and cards, have nothing that has to be escaped."""
    return (
        f"plays,player={advice.player},name={advice.name}"
        f' id="{advice.id}",cards="{" ".join(advice.cards)}",score={advice.score}i,beats={advice.beats}'
        f" {at_ns}\n"
    )
