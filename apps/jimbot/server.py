"""The MCP server: its tools on the stores, and /health."""

import asyncio
import contextlib
import inspect
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any, Protocol, TypedDict

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from prometheus_client import Counter, Histogram
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from apps.common import web
from apps.common.errors import UnavailableError
from apps.jimbot import compute, events, graph, hands, measurements
from apps.jimbot.compute import Cluster
from apps.jimbot.events import Events
from apps.jimbot.graph import Graph
from apps.jimbot.measurements import Measurements
from apps.jimbot.plays import Advice
from apps.jimbot.settings import ServerSettings

LOG = logging.getLogger(__name__)
PATH = "/mcp"
BODY_LIMIT_BYTES = 64 * 1024
SAMPLES_MAX = 10_000
NEWEST_MAX = 100
HEALTH_WITHIN_S = 2.5
LEFT_OUT = "left out"

CALLS = Counter("tool_calls_total", "Calls of tools, by outcome.", ["tool", "outcome"])
SECONDS = Histogram("tool_call_duration_seconds", "Time of a call of a tool, in seconds.", ["tool"])

Player = Annotated[
    str, Field(pattern=r"^[a-z0-9_]{1,40}$", description="Letters, digits and underscores")
]
Cards = Annotated[
    list[str],
    Field(min_length=1, max_length=hands.HAND_MAX, description="Rank and suit: AS, TD, 7H"),
]
Samples = Annotated[
    int, Field(ge=100, le=SAMPLES_MAX, description="How many random hands to compare it with")
]
Count = Annotated[int, Field(ge=1, le=NEWEST_MAX)]


class BestPlay(TypedDict):
    """The best play of a hand. `stored_in` names the stores that have it on disk."""

    id: str
    player: str
    cards: list[str]
    name: str
    score: int
    beats: float
    stored_in: list[str]


class History(TypedDict):
    """What the stores have of a player: rows of QuestDB, events of EventStore, and the ranking of plays
    of all players in Memgraph. `left_out` names stores that aren't part of the stack."""

    measurements: list[dict[str, Any]]
    events: list[dict[str, Any]]
    ranking: list[dict[str, Any]]
    left_out: list[str]


class Store(Protocol):
    async def ping(self) -> None: ...
    async def close(self) -> None: ...


class Tools:
    """What the tools do, on the stores. EventStore and Memgraph may be left out of a stack."""

    def __init__(
        self,
        cluster: Cluster,
        measurements: Measurements,
        events: Events | None,
        graph: Graph | None,
    ) -> None:
        self._cluster = cluster
        self._measurements = measurements
        self._events = events
        self._graph = graph

    @property
    def stores(self) -> Mapping[str, Store | None]:
        """By name; None if a store is left out."""
        return {
            compute.NAME: self._cluster,
            measurements.NAME: self._measurements,
            events.NAME: self._events,
            graph.NAME: self._graph,
        }

    async def best_play(self, player: Player, cards: Cards, samples: Samples = 1000) -> BestPlay:
        """The play of a hand of up to 8 cards with the highest score, and the share of random hands
        of as many cards that it beats. Every store remembers it for `history`."""
        async with _counted("best_play"):
            hand = hands.parse(cards)
            play = hands.best(hand)
            beats = await self._cluster.share_beaten(play.score, len(hand), samples)
            identifier = str(uuid.uuid4())
            advice = Advice(identifier, player, play.cards, play.name, play.score, beats)
            stored_in = [measurements.NAME]
            # The events come first: they are the history that the others could be built from.
            if self._events is not None:
                await self._events.append(advice)
                stored_in.append(events.NAME)
            await self._measurements.add(advice)
            if self._graph is not None:
                await self._graph.add(advice)
                stored_in.append(graph.NAME)
            LOG.info("advised", extra={"id": identifier, "play": play.name})
            return BestPlay(
                id=identifier,
                player=player,
                cards=list(play.cards),
                name=play.name,
                score=play.score,
                beats=beats,
                stored_in=sorted(stored_in),
            )

    async def history(self, player: Player, count: Count = 10) -> History:
        """What the stores remember of a player's hands, newest first."""
        async with _counted("history"):
            return History(
                measurements=await self._measurements.newest(player, count),
                events=await self._events.newest(player, count) if self._events else [],
                ranking=await self._graph.ranking() if self._graph else [],
                left_out=sorted(name for name, store in self.stores.items() if store is None),
            )

    async def health(self, _: Request) -> Response:
        """GET /health: 200 if every store of the stack answers; names those that are left out."""
        states = await asyncio.gather(
            *(
                web.state(_within(store.ping())) if store else _left_out()
                for store in self.stores.values()
            )
        )
        left_out = [name for name, store in self.stores.items() if store is None]
        return web.health(dict(zip(self.stores, states, strict=True)), optional=left_out)

    async def close(self) -> None:
        for store in self.stores.values():
            if store is not None:
                await store.close()


@contextlib.asynccontextmanager
async def _counted(tool: str) -> AsyncIterator[None]:
    """Counts and times a call. Known errors become those that MCP's clients read."""
    started_at, outcome = time.perf_counter(), "failed"
    try:
        yield
        outcome = "ok"
    except hands.HandError as error:
        outcome = "rejected"
        raise ToolError(str(error)) from error
    except UnavailableError as error:
        raise ToolError(f"{error}; try again later") from error
    finally:
        CALLS.labels(tool, outcome).inc()
        SECONDS.labels(tool).observe(time.perf_counter() - started_at)


async def _within(ping: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(HEALTH_WITHIN_S):
            await ping
    except TimeoutError:
        raise UnavailableError("a store", f"no answer within {HEALTH_WITHIN_S} s") from None


async def _left_out() -> str:
    return LEFT_OUT


def security(settings: ServerSettings) -> TransportSecuritySettings:
    hosts = [host.strip() for host in settings.mcp_allowed_hosts.split(",")]
    origins = [f"{scheme}://{host}" for host in hosts for scheme in ("http", "https")]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def tools(settings: ServerSettings) -> Tools:
    return Tools(
        Cluster(settings),
        Measurements(settings),
        Events(settings) if settings.eventstore_host else None,
        Graph(settings) if settings.memgraph_host else None,
    )


def application(
    settings: ServerSettings, make_tools: Callable[[ServerSettings], Tools] = tools
) -> Starlette:
    """The MCP server as a web application. Nothing is connected before it starts."""
    server = MCPServer("jimbot", instructions="Judges hands of cards, and remembers them.")
    # Without sessions, so that any replica can answer any request.
    mcp = server.streamable_http_app(
        streamable_http_path=PATH,
        stateless_http=True,
        json_response=True,
        max_request_body_size=BODY_LIMIT_BYTES,
        transport_security=security(settings),
    )
    used = make_tools(settings)
    for tool in (used.best_play, used.history):
        server.add_tool(tool, description=inspect.getdoc(tool))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        """Starts without waiting for any store: /health says when they answer."""
        async with server.session_manager.run():
            yield
        await used.close()

    return Starlette(
        routes=[*web.own_routes(used.health), *mcp.routes],
        exception_handlers=web.error_handlers(),
        lifespan=lifespan,
    )
