"""The intelligence service: what it finds in a series, and how it uses its stores."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from apps.common.errors import UnavailableError
from apps.intelligence import service
from apps.intelligence.insight import Event, insight, scores, slope
from apps.intelligence.settings import IntelligenceSettings

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def series(*values: float) -> list[Event]:
    """One event an hour."""
    return [
        Event(number, BEGAN + timedelta(hours=number), value) for number, value in enumerate(values)
    ]


def test_an_outlier_distorts_neither_the_trend_nor_the_median() -> None:
    found = insight("x", series(10, 12, 14, 16, 500, 20, 22))
    assert (found.events, found.median, found.trend_per_hour) == (7, 16, 2)
    (anomaly,) = found.anomalies
    assert (anomaly.id, anomaly.value) == (4, 500)
    assert anomaly.score > 3.5


def test_a_value_that_follows_the_trend_is_no_anomaly() -> None:
    """500 is far from the median, and where the trend leads."""
    assert insight("x", series(*range(0, 520, 20))).anomalies == ()


def test_a_low_value_has_a_negative_score() -> None:
    (anomaly,) = insight("x", series(50, 51, 49, 50, -40, 51, 49, 50)).anomalies
    assert anomaly.score < -3.5


def test_an_anomaly_among_equal_values_is_found() -> None:
    """The median deviation is 0, so the mean deviation takes its place."""
    assert [each.id for each in insight("x", series(*[5] * 20, 6)).anomalies] == [20]


def test_the_modified_z_score_of_a_known_sample() -> None:
    """The median is 3 and the median deviation 1, so the score of 10 is 7 / 1.4826."""
    assert scores([1, 2, 3, 4, 10])[-1] == pytest.approx(4.7214, abs=1e-4)


def test_equal_values_and_equal_times() -> None:
    assert scores([7, 7, 7]) == [0, 0, 0]
    assert slope([1, 1], [2, 3]) is None
    alone = insight("x", series(3))
    assert (alone.events, alone.median, alone.trend_per_hour, alone.anomalies) == (1, 3, None, ())


class Store:
    """Stands in for PostgreSQL and for Redis, which a test takes away."""

    def __init__(self, *_: object) -> None:
        self.events = series(1, 2, 3)
        self.queries = 0
        self.reason = ""
        self.cached: dict[str, bytes] = {}

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None:
        if self.reason:
            raise UnavailableError("the store", self.reason)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        await self.ping()
        yield self

    async def execute(self, _: str, values: tuple[str, int]) -> Store:
        self.queries += 1
        self.rows = [(e.id, e.at, e.value) for e in self.events if values[0] == "x"]
        return self

    async def fetchall(self) -> list[tuple[int, datetime, float]]:
        return self.rows

    async def get(self, name: str) -> bytes | None:
        return self.cached.get(name)

    async def put(self, name: str, content: bytes) -> None:
        self.cached[name] = content


@pytest.fixture
def database() -> Store:
    return Store()


@pytest.fixture
def cache() -> Store:
    return Store()


@pytest.fixture
def client(database: Store, cache: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(service, "Database", lambda *_: database)
    monkeypatch.setattr(service, "Cache", lambda *_: cache)
    with TestClient(service.application(IntelligenceSettings())) as client:
        yield client


def test_an_insight_is_computed_once_and_then_cached(client: TestClient, database: Store) -> None:
    first = client.get("/insights?series=x").json()
    assert first == {
        "series": "x",
        "events": 3,
        "median": 2,
        "trend_per_hour": 1,
        "anomalies": [],
        "cached": False,
    }
    assert client.get("/insights?series=x").json() == {**first, "cached": True}
    assert database.queries == 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/insights", 422),
        ("/insights?series=", 422),
        ("/insights?series=a%20b", 422),
        ("/insights?series=%D9%A1", 422),
        ("/insights?series=nobody", 404),
        ("/nothing", 404),
    ],
)
def test_a_bad_request_gets_a_reason(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


def test_health_needs_the_database_and_reports_the_cache(
    client: TestClient, database: Store, cache: Store
) -> None:
    cache.reason = "connection refused"
    answer = client.get("/health")
    assert answer.status_code == 200
    assert "refused" in answer.json()["dependencies"]["redis"]
    database.reason = "connection refused"
    assert client.get("/health").status_code == 503
    assert client.get("/insights?series=x").status_code == 503
    database.reason = ""
    assert client.get("/health").status_code == 200
