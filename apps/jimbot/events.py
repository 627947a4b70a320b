"""The way to EventStore: a stream of events for each player."""

import json
from dataclasses import asdict
from typing import Any

import httpx2

from apps.common import traces
from apps.common.errors import UnavailableError, describe
from apps.jimbot.plays import Advice
from apps.jimbot.settings import EventstoreSettings

NAME = "eventstore"
WITHIN_S = 5.0
EVENT = "PlayAdvised"
EVENTS = "application/vnd.kurrent.events+json"
FEED = "application/vnd.kurrent.atom+json"


class Events:
    """The streams, by EventStore's HTTP API (AtomPub): docs.kurrent.io/server/latest/http-api."""

    def __init__(
        self, settings: EventstoreSettings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=f"http://{settings.eventstore_host}:{settings.eventstore_port}",
            timeout=WITHIN_S,
            transport=transport,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def append(self, advice: Advice) -> None:
        """Returns once the event is on disk. The same advice is appended once. Raises
        `UnavailableError`."""
        event = {"eventId": advice.id, "eventType": EVENT, "data": asdict(advice)}
        await self._send(
            "POST",
            _stream(advice.player),
            content=json.dumps([event]),
            # -2: whatever the stream contains.
            headers={"Content-Type": EVENTS, "Kurrent-ExpectedVersion": "-2"},
        )

    async def newest(self, player: str, count: int) -> list[dict[str, Any]]:
        """The player's newest events, newest first."""
        path = f"{_stream(player)}/head/backward/{count}"
        response = await self._send("GET", path, params={"embed": "body"}, headers={"Accept": FEED})
        if response is None:
            return []
        return [json.loads(entry["data"]) for entry in response.json()["entries"]]

    async def ping(self) -> None:
        """Raises `UnavailableError` unless EventStore is alive."""
        await self._send("GET", "/health/live")

    async def _send(self, method: str, path: str, **fields: Any) -> httpx2.Response | None:
        """The response; None if there is no such stream."""
        try:
            with traces.span(NAME, "client"):
                response = await self._client.request(method, path, **fields)
                if response.status_code == httpx2.codes.NOT_FOUND:
                    return None
                response.raise_for_status()
        except httpx2.HTTPError as error:
            raise UnavailableError(NAME, describe(error)) from error
        return response


def _stream(player: str) -> str:
    # Projections group streams by what is before the hyphen: `$ce-plays` has the events of all players.
    return f"/streams/plays-{player}"
