"""How an update replaces the replicas of a service on Docker: which slots, in which order."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from docker.errors import NotFound

from strata.errors import NotReadyError
from strata.model import Budget, Capacity, Port, Resources, Service, Volume
from strata.platforms.docker import rollout
from strata.platforms.docker.networks import Connection
from strata.platforms.docker.observed import ObservedContainer
from strata.platforms.docker.rollout import Handover, Placement
from tests.components.stack import HOST, NAMES
from tests.unit.examples import service

TWO = service("api", replicas=2)
FIRST = replace(HOST.own_containers["gateway"], name="strata-test-api-1", revision="old", created=1)
SECOND = replace(FIRST, name="strata-test-api-1-b", revision="new", created=2)


def place(
    *existing: ObservedContainer, revision: str = "new", start_first: bool = True
) -> Placement:
    by_id = {each.name.removeprefix("strata-test-"): each for each in existing}
    others = {"api-2": replace(FIRST, name="strata-test-api-2")}
    return rollout.place(
        TWO, 0, NAMES, {**others, **by_id}, revision=revision, start_first=start_first
    )


@pytest.mark.parametrize(
    ("placement", "slot", "start_first"),
    [
        (place(), 0, False),
        (place(FIRST), 1, True),
        (place(FIRST, revision="old"), 0, False),
        (place(replace(SECOND, revision="old")), 0, True),
        (place(SECOND), 1, False),
        # No memory for both: the new one has the name of the old one.
        (place(FIRST, start_first=False), 0, False),
        (place(SECOND, revision="newest", start_first=False), 1, False),
        # Two containers of a replica never run at the same time.
        (place(FIRST, revision="", start_first=False), 0, False),
        # An update was interrupted between the two.
        (place(FIRST, SECOND), 1, True),
        (place(FIRST, SECOND, revision="old"), 1, True),
        (place(FIRST, SECOND, revision="newest"), 1, True),
    ],
)
def test_the_slot_of_a_new_container(placement: Placement, slot: int, start_first: bool) -> None:
    assert (placement.slot, placement.start_first) == (slot, start_first)


def test_a_container_that_joined_late_stays_one_that_joins_late() -> None:
    assert place(FIRST).joins_when_healthy
    assert place(replace(SECOND, joins_when_healthy=True)).joins_when_healthy
    assert not place(SECOND).joins_when_healthy
    assert not place().joins_when_healthy
    assert not place(FIRST, start_first=False).joins_when_healthy


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ((TWO,), ["api"]),
        ((service("api"),), []),
        ((replace(TWO, ports=(Port(name="http", number=80, published=80),)),), []),
        ((replace(TWO, volumes=(Volume(name="data", path="/data"),)),), []),
        ((replace(TWO, stateful=True),), []),
        # 300 MiB are left for a third replica.
        (
            (replace(TWO, resources=Resources(memory_mib=300)), service("worker", replicas=2)),
            ["api"],
        ),
        ((replace(TWO, resources=Resources(memory_mib=301)),), []),
    ],
)
def test_who_is_updated_start_first(services: tuple[Service, ...], expected: list[str]) -> None:
    used = sum(each.resources.memory_mib * each.replicas for each in services)
    capacity = Capacity(memory_mib=used + 300, reserved_memory_mib=0, cpu=8, gpus=0)
    budget = Budget.of(services, frozenset(), capacity)
    assert [*rollout.start_first(services, budget)] == expected


def test_a_service_with_gpus_is_not() -> None:
    capacity = Capacity(memory_mib=4096, reserved_memory_mib=0, cpu=8, gpus=2)
    assert [*rollout.start_first((TWO,), Budget.of((TWO,), frozenset({"api"}), capacity))] == []


class Engine:
    """Records what is done to containers. `aliases`: those of each on its network. Those in `gone` no
    longer exist."""

    def __init__(self, aliases: dict[str, list[str] | None], gone: str = "") -> None:
        self.calls: list[tuple[str, ...]] = []
        self._aliases, self._gone = aliases, gone

    @property
    def api(self) -> "Engine":
        return self

    def inspect_container(self, container: str) -> dict[str, Any]:
        if container == self._gone:
            raise NotFound("no such container")
        address = {"IPv4Address": f"address of {container}"}
        network = {"Aliases": self._aliases[container], "IPAMConfig": address}
        return {"NetworkSettings": {"Networks": {"net": network}}}

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any, **options: Any) -> None:
            what = (options["ipv4_address"], *options["aliases"]) if "aliases" in options else ()
            self.calls.append((name, arguments[0], *what))

        return call


def hand_over(engine: Engine, placement: Placement, monkeypatch: pytest.MonkeyPatch) -> None:
    """`new` becomes healthy."""

    async def healthy() -> None:
        engine.calls.append(("healthy",))

    async def sleep(seconds: float) -> None:
        engine.calls.append((f"{seconds} s",))

    monkeypatch.setattr("asyncio.sleep", sleep)
    connections = (Connection(network="net", address="address of new", aliases=("api",)),)
    asyncio.run(Handover(engine).wait("new", "name", TWO, placement, connections, healthy))


LATE = Placement(slot=1, existing=("old",), start_first=True, joins_when_healthy=True)
LEFT = [
    ("disconnect_container_from_network", "old"),
    ("connect_container_to_network", "old", "address of old"),
    ("3 s",),
    ("stop", "old"),
    ("remove_container", "old"),
]


def test_the_old_container_stops_after_clients_find_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine({"new": None, "old": ["api"]})
    hand_over(engine, LATE, monkeypatch)
    assert engine.calls == [
        ("healthy",),
        ("disconnect_container_from_network", "new"),
        ("connect_container_to_network", "new", "address of new", "api"),
        ("10 s",),
        ("healthy",),
        *LEFT,
    ]


def test_an_interrupted_handover_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine({"new": ["api", "0123456789ab"], "old": ["api"]})
    hand_over(engine, replace(LATE, existing=("old", "new")), monkeypatch)
    assert engine.calls == [("healthy",), *LEFT]
    engine = Engine({"new": ["api"], "old": None})
    hand_over(engine, replace(LATE, existing=("old", "new")), monkeypatch)
    assert engine.calls == [("healthy",), ("stop", "old"), ("remove_container", "old")]


def test_a_container_that_pulumi_deleted_before_is_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Engine({"new": ["api"]}, gone="old")
    hand_over(engine, replace(LATE, start_first=False, joins_when_healthy=False), monkeypatch)
    assert engine.calls == [("healthy",), ("10 s",), ("healthy",)]


def test_a_container_that_is_never_healthy_replaces_nothing() -> None:
    engine = Engine({})

    async def healthy() -> None:
        raise NotReadyError("exited")

    with pytest.raises(NotReadyError, match="exited"):
        asyncio.run(Handover(engine).wait("new", "name", TWO, LATE, (), healthy))
    assert engine.calls == []
