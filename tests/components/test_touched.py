"""A change of the settings touches the containers that it concerns, and no other."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import systems
from tests.components.stack import HOST, compose
from tests.documents.plan import settings

# Room for every system.
LARGE = replace(HOST, memory_mib=40_000, cpu=16)
# Its configuration lists every replica, because Docker has no way to discover them.
SCRAPER = {"prometheus-1"}


def containers(
    system: str, given: Mapping[str, Any], generations: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """The inputs of each container by its logical name, on Docker."""
    composed = compose(
        systems.find(system), settings=settings(given), host=LARGE, generations=generations
    )
    types = composed.recorded.types
    return {
        name: inputs
        for name, inputs in composed.recorded.inputs.items()
        if types[name].endswith(":Container")
    }


@cache
def before(system: str) -> dict[str, Any]:
    return containers(system, {})


def touched(old: dict[str, Any], new: dict[str, Any]) -> tuple[set[str], set[str], set[str]]:
    """The containers that are added, removed and replaced."""
    replaced = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    return new.keys() - old.keys(), old.keys() - new.keys(), replaced


@pytest.mark.parametrize(
    ("system", "owner", "replaced"),
    [
        ("reference", "postgres", {"postgres-1", "postgres-exporter-1", "api-1", "worker-1"}),
        ("reference", "redis", {"redis-1", "redis-exporter-1", "api-1"}),
        ("reference", "rabbitmq", {"rabbitmq-1", "api-1", "worker-1"}),
        (
            "node_intelligence",
            "redis",
            {"redis-1", "redis-exporter-1", "api-1", "intelligence-1"},
        ),
        (
            "node_intelligence",
            "postgres",
            {"postgres-1", "postgres-exporter-1", "api-1", "intelligence-1"},
        ),
        ("project88", "db", {"db-1", "db-exporter-1", "web-1", "web-2", "worker-1"}),
        ("project88", "redis", {"redis-0", "redis-exporter-1", "web-1", "web-2", "worker-1"}),
        (
            "dredge",
            "redis",
            {"redis-1", "redis-exporter-1", "server-1", "mcp-1", "worker-1", "worker-2"},
        ),
        ("datapunk", "consul", {"consul-0", "cortex-1", "nexus-1"}),
        ("datapunk", "postgres", {"postgres-1", "postgres-exporter-1", "cortex-1"}),
        ("datapunk", "rabbitmq", {"rabbitmq-1", "cortex-1"}),
        (
            "datapunk",
            "redis",
            {"redis-exporter-1", "cortex-1", *(f"redis-{ordinal}" for ordinal in range(6))},
        ),
        # Its certificates. Those of its clients and servers stay.
        ("datapunk", "nexus", {"nexus-1"}),
        ("datapunk", "prometheus", {"prometheus-1"}),
        (
            "datapunk",
            "authority",
            {
                "consul-0",
                "cortex-1",
                "gateway-1",
                "nexus-1",
                "postgres-1",
                "postgres-exporter-1",
                "prometheus-1",
                "rabbitmq-1",
                "redis-exporter-1",
                *(f"redis-{ordinal}" for ordinal in range(6)),
            },
        ),
        (
            "jimbot",
            "ray",
            {"ray-head-1", "ray-worker-gpu-0-1", "ray-worker-gpu-1-1", "app-1", "app-2"},
        ),
        ("jimbot", "questdb", {"questdb-1", "app-1", "app-2"}),
        ("jimbot", "memgraph", {"memgraph-1", "app-1", "app-2"}),
    ],
)
def test_another_secret_of_a_service(system: str, owner: str, replaced: set[str]) -> None:
    after = containers(system, {}, {owner: 2})
    assert touched(before(system), after) == (set(), set(), replaced)


@pytest.mark.parametrize(
    ("system", "service", "replicas"),
    [
        ("reference", "api", 2),
        ("node_intelligence", "api", 2),
        ("project88", "web", 3),
        ("dredge", "worker", 3),
        ("datapunk", "nexus", 2),
        ("jimbot", "app", 3),
    ],
)
def test_one_replica_more(system: str, service: str, replicas: int) -> None:
    """The others run on."""
    after = containers(system, {"services": {service: {"replicas": replicas}}})
    assert touched(before(system), after) == ({f"{service}-{replicas}"}, set(), SCRAPER)


@pytest.mark.parametrize(
    ("system", "given", "added", "removed", "replaced"),
    [
        (
            "reference",
            {"profiles": ["traces"]},
            {"jaeger-1"},
            set(),
            {"api-1", "inference-1", "worker-1"},
        ),
        (
            "project88",
            {"profiles": ["development"]},
            {"mail-1"},
            {"web-2"},
            {"gateway-1", "worker-1"},
        ),
        ("project88", {"profiles": ["pgadmin"]}, {"pgadmin-1"}, set(), {"gateway-1"}),
        (
            "node_intelligence",
            {"profiles": ["traces"]},
            {"jaeger-1"},
            set(),
            {"api-1", "intelligence-1"},
        ),
        (
            "datapunk",
            {"profiles": ["traces"]},
            {"jaeger-1"},
            set(),
            {"cortex-1", "nexus-1"},
        ),
        ("jimbot", {"profiles": ["development"]}, set(), {"app-2"}, {"app-1"}),
        ("jimbot", {"profiles": ["traces"]}, {"jaeger-1"}, set(), {"app-1", "app-2"}),
        (
            "project88",
            {"profiles": ["traces"]},
            {"jaeger-1"},
            set(),
            {"web-1", "web-2", "worker-1"},
        ),
        (
            "dredge",
            {"profiles": ["traces"]},
            {"jaeger-1"},
            set(),
            {"mcp-1", "server-1", "worker-1", "worker-2"},
        ),
        (
            "datapunk",
            {"services": {"consul": {"enabled": False}}},
            set(),
            {"consul-0"},
            {"cortex-1", "nexus-1"},
        ),
        (
            "jimbot",
            {"services": {"eventstore": {"enabled": False}}},
            set(),
            {"eventstore-1"},
            {"app-1", "app-2"},
        ),
    ],
)
def test_a_service_more_or_less(
    system: str,
    given: dict[str, Any],
    added: set[str],
    removed: set[str],
    replaced: set[str],
) -> None:
    found_added, found_removed, found_replaced = touched(before(system), containers(system, given))
    assert (found_added, found_removed) == (added, removed)
    # What observes the stack learns what there is.
    assert found_replaced - SCRAPER == replaced


OBSERVERS = {
    f"{name}-1"
    for name in (
        *(
            "alertmanager",
            "blackbox-exporter",
            "container-exporter",
            "log-agent",
        ),
        *("node-exporter", "prometheus", "redis-exporter", "victoria-logs"),
    )
}


@pytest.mark.parametrize(
    ("old", "new", "added", "removed", "replaced"),
    [
        (["cpu", "proxy"], ["cpu", "proxy", "workers"], {"worker-1", "worker-2"}, set(), set()),
        # The server listens for nobody any more.
        (["cpu", "proxy"], ["cpu"], set(), {"gateway-1"}, {"server-1"}),
        # The gateway listens for Prometheus, too.
        (["cpu", "proxy"], ["cpu", "proxy", "monitoring"], OBSERVERS, set(), {"gateway-1"}),
        (
            ["cpu", "proxy", "workers"],
            ["cpu", "gpu", "proxy", "workers"],
            {"mcp-1"},
            set(),
            {"gateway-1", "server-1", "worker-1", "worker-2"},
        ),
        (
            ["cpu", "proxy"],
            ["full"],
            {"mcp-1", "worker-1", "worker-2", *OBSERVERS},
            set(),
            {"gateway-1", "server-1"},
        ),
        (["full"], ["cpu", "gpu", "workers", "monitoring", "proxy"], set(), set(), set()),
    ],
)
def test_another_profile_of_dredge(
    old: list[str], new: list[str], added: set[str], removed: set[str], replaced: set[str]
) -> None:
    """What the new profile brings, and the clients of it."""
    given = [containers("dredge", {"profiles": profiles}) for profiles in (old, new)]
    assert touched(*given) == (added, removed, replaced)
