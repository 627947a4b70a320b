"""The application of jimbot: the best play of a hand, and what the tools answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from starlette.testclient import TestClient

from apps.common.errors import UnavailableError
from apps.jimbot import hands, server
from apps.jimbot.plays import Advice
from apps.jimbot.settings import ServerSettings

# -- hands


@pytest.mark.parametrize(
    ("hand", "name", "cards", "score"),
    [
        # (chips of the play + chips of its cards) * multiplier
        ("2C", "high_card", "2C", (5 + 2) * 1),
        ("KC QD 9H", "high_card", "KC", (5 + 10) * 1),
        ("AS AD 3C 7H 9D", "pair", "AS AD", (10 + 22) * 2),
        ("AS AD 3C 3H 9D", "two_pair", "AS AD 3C 3H", (20 + 28) * 2),
        ("7S 7D 7C 2H 9D", "three_of_a_kind", "7S 7D 7C", (30 + 21) * 3),
        ("AS 2D 3C 4H 5D", "straight", "AS 2D 3C 4H 5D", (30 + 25) * 4),
        ("TS JD QC KH AD", "straight", "TS JD QC KH AD", (30 + 51) * 4),
        ("2S 4S 6S 8S TS", "flush", "2S 4S 6S 8S TS", (35 + 30) * 4),
        ("7S 7D 7C 2H 2D", "full_house", "7S 7D 7C 2H 2D", (40 + 25) * 4),
        ("7S 7D 7C 7H 2D", "four_of_a_kind", "7S 7D 7C 7H", (60 + 28) * 7),
        ("2S 3S 4S 5S 6S", "straight_flush", "2S 3S 4S 5S 6S", (100 + 20) * 8),
        # Of eight cards, the flush scores more than the pair of aces and the straight.
        ("AS AD 2H 3S 4S 5S 9S KD", "flush", "AS 3S 4S 5S 9S", (35 + 32) * 4),
        # Around the ace there is no straight.
        ("QS KD AC 2H 3D", "high_card", "AC", (5 + 11) * 1),
    ],
)
def test_the_best_play(hand: str, name: str, cards: str, score: int) -> None:
    play = hands.best(hands.parse(hand.lower().split()))
    assert (play.name, sorted(play.cards), play.score) == (name, sorted(cards.split()), score)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ([], "1 to 8 cards, not 0"),
        (["AS"] * 9, "1 to 8 cards, not 9"),
        (["1S"], "'1S' is not a card"),
        (["A"], "'A' is not a card"),
        (["AS", "as"], "listed twice"),
    ],
)
def test_what_is_no_hand_is_rejected(cards: list[str], reason: str) -> None:
    with pytest.raises(hands.HandError, match=reason):
        hands.parse(cards)


def test_a_simulation_counts_the_hands_that_a_score_beats() -> None:
    # The highest score is the royal flush's. No score is below that of a single two.
    assert hands.count_beaten((100 + 51) * 8 + 1, 5, samples=50, seed=1) == 50
    assert hands.count_beaten(7, 1, samples=50, seed=1) == 0
    # A single card beats every lower rank: six of 13 for an eight; ten, jack, queen and king are equal.
    beaten = hands.count_beaten(5 + 8, 1, samples=4000, seed=1)
    assert beaten == hands.count_beaten(5 + 8, 1, samples=4000, seed=1)
    assert 6 / 13 - 0.03 < beaten / 4000 < 6 / 13 + 0.03


# -- the server


class FakeStore:
    """Every store: keeps what it gets in memory, and can be down."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.down = False
        self.kept: list[Advice] = []
        self.closed = False

    def _check(self) -> None:
        if self.down:
            raise UnavailableError(self.name, "no connection")

    async def ping(self) -> None:
        self._check()

    async def close(self) -> None:
        self.closed = True

    async def share_beaten(self, score: int, size: int, samples: int) -> float:
        self._check()
        return hands.count_beaten(score, size, samples, seed=1) / samples

    async def add(self, advice: Advice) -> None:
        self._check()
        self.kept.append(advice)

    append = add

    async def newest(self, player: str, count: int) -> list[dict[str, Any]]:
        self._check()
        kept = [advice for advice in self.kept if advice.player == player]
        return [{"id": advice.id} for advice in kept[: -count - 1 : -1]]

    async def ranking(self) -> list[dict[str, Any]]:
        return [{"name": advice.name, "plays": 1} for advice in self.kept]


class Stores:
    """The stores of a server. Some may be left out of its stack."""

    def __init__(self, *left_out: str) -> None:
        names = ("ray", "questdb", "eventstore", "memgraph")
        self.by_name = {name: FakeStore(name) for name in names}
        self.left_out = left_out

    def tools(self, _: ServerSettings) -> server.Tools:
        stores: list[Any] = [
            None if name in self.left_out else store for name, store in self.by_name.items()
        ]
        return server.Tools(*stores)


@pytest.fixture
def stores(request: pytest.FixtureRequest) -> Stores:
    return Stores(*getattr(request, "param", ()))


@pytest.fixture
def client(stores: Stores) -> Iterator[TestClient]:
    application = server.application(ServerSettings(), stores.tools)
    with TestClient(application, base_url="http://127.0.0.1:8080") as client:
        yield client


def post(client: TestClient, method: str, headers: Mapping[str, str] = {}, **params: Any) -> Any:
    return client.post(
        "/mcp",
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={"accept": "application/json, text/event-stream", **headers},
    )


def call(client: TestClient, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = post(client, "tools/call", name=tool, arguments=arguments)
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


def test_the_tools_say_what_they_take(client: TestClient) -> None:
    listed = post(client, "tools/list").json()["result"]["tools"]
    tools = {tool["name"]: tool for tool in listed}
    assert set(tools) == {"best_play", "history"}
    assert tools["best_play"]["inputSchema"]["required"] == ["player", "cards"]
    assert "beats" in tools["best_play"]["outputSchema"]["required"]
    assert "random hands of as" in " ".join(tools["best_play"]["description"].splitlines())


def test_a_play_is_in_every_store_before_it_is_answered(client: TestClient, stores: Stores) -> None:
    result = call(client, "best_play", player="ada", cards=["AS", "AD", "3C"], samples=100)
    play = result["structuredContent"]
    assert (play["name"], play["cards"], play["score"]) == ("pair", ["AS", "AD"], 64)
    assert 0.5 < play["beats"] < 1
    assert play["stored_in"] == ["eventstore", "memgraph", "questdb"]
    for name in play["stored_in"]:
        (kept,) = stores.by_name[name].kept
        assert (kept.id, kept.player) == (play["id"], "ada")
    history = call(client, "history", player="ada")["structuredContent"]
    assert history == {
        "measurements": [{"id": play["id"]}],
        "events": [{"id": play["id"]}],
        "ranking": [{"name": "pair", "plays": 1}],
        "left_out": [],
    }


@pytest.mark.parametrize("stores", [("eventstore", "memgraph")], indirect=True)
def test_stores_that_are_left_out_are_named_and_not_needed(
    client: TestClient, stores: Stores
) -> None:
    play = call(client, "best_play", player="ada", cards=["2C"], samples=100)["structuredContent"]
    assert play["stored_in"] == ["questdb"]
    history = call(client, "history", player="ada")["structuredContent"]
    assert history["measurements"] == [{"id": play["id"]}]
    assert history["events"] == history["ranking"] == []
    assert history["left_out"] == ["eventstore", "memgraph"]
    health = client.get("/health")
    assert health.status_code == 200
    states = {"ray": "ok", "questdb": "ok", "eventstore": "left out", "memgraph": "left out"}
    assert health.json()["dependencies"] == states


@pytest.mark.parametrize("down", ["ray", "questdb", "eventstore", "memgraph"])
def test_health_and_the_tool_name_the_store_that_is_down(
    client: TestClient, stores: Stores, down: str
) -> None:
    assert client.get("/health").status_code == 200
    stores.by_name[down].down = True
    health = client.get("/health")
    assert health.status_code == 503
    states = health.json()["dependencies"]
    assert states.pop(down) == f"{down} is unavailable: no connection"
    assert set(states.values()) == {"ok"}
    result = call(client, "best_play", player="ada", cards=["2C"], samples=100)
    assert result["isError"]
    assert f"{down} is unavailable" in result["content"][0]["text"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"player": "ada", "cards": ["1X"]}, "'1X' is not a card"),
        ({"player": "ada", "cards": []}, "at least 1 item"),
        ({"player": "x'; DROP TABLE plays", "cards": ["2C"]}, "should match pattern"),
        ({"player": "ada", "cards": ["2C"], "samples": 10**9}, "less than or equal to 10000"),
    ],
)
def test_wrong_arguments_are_rejected_with_the_reason(
    client: TestClient, stores: Stores, arguments: dict[str, Any], reason: str
) -> None:
    result = call(client, "best_play", **arguments)
    assert result["isError"]
    assert reason in result["content"][0]["text"]
    assert not any(store.kept for store in stores.by_name.values())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8443"}, 200),
        ({"origin": "http://127.0.0.1:8080"}, 200),
        # A page of attacker.example whose name was rebound to 127.0.0.1.
        ({"host": "attacker.example:8080"}, 421),
        ({"origin": "http://attacker.example"}, 403),
    ],
)
def test_other_host_names_and_origins_are_rejected(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    assert post(client, "tools/list", headers).status_code == status


def test_calls_are_counted_and_stores_closed_at_the_end(stores: Stores) -> None:
    application = server.application(ServerSettings(), stores.tools)
    with TestClient(application, base_url="http://127.0.0.1:8080") as client:
        before = client.get("/metrics").text
        call(client, "best_play", player="ada", cards=["2C"], samples=100)
        after = client.get("/metrics").text
    line = 'tool_calls_total{outcome="ok",tool="best_play"} '
    counts = [float(text.partition(line)[2].partition("\n")[0] or 0) for text in (before, after)]
    assert counts[1] == counts[0] + 1
    assert all(store.closed for store in stores.by_name.values())
