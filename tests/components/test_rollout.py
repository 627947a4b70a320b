"""An update of a service with replicas on Docker: what Pulumi is asked to create, given what runs."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from strata.platforms.docker.rollout import Handover
from strata.stack import Stack
from tests.components.example import application
from tests.components.stack import HOST, Recorded, compose


@pytest.fixture(autouse=True)
def handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine isn't asked to join or remove containers: tests/unit/test_rollout.py does that."""

    async def wait(*arguments: Any) -> None:
        healthy: Callable[[], Awaitable[None]] = arguments[-1]
        await healthy()

    monkeypatch.setattr(Handover, "wait", wait)


def updated(runs: dict[str, Any] | None = None, **changed: Any) -> Recorded:
    """A service with two replicas and its client, on a host where the containers of `runs` run."""

    def describe(stack: Stack) -> None:
        api = application(stack, "api", **{"replicas": 2, **changed})
        application(stack, "client", api.endpoint())

    return compose(describe, host=replace(HOST, own_containers=runs or {})).recorded


def running(recorded: Recorded, **changed: Any) -> dict[str, Any]:
    """The containers of an update, as the next one finds them."""
    labels = {
        name: {one["label"]: one["value"] for one in inputs["labels"]}
        for name, inputs in recorded.of("Container").items()
    }
    return {
        f"{name}-id": replace(
            HOST.own_containers["gateway"],
            name=inputs["name"],
            revision=labels[name].get("strata.revision", ""),
            joins_when_healthy="strata.joins" in labels[name],
            **changed,
        )
        for name, inputs in recorded.of("Container").items()
    }


def start_first(recorded: Recorded) -> set[str]:
    return recorded.created_first & recorded.of("Container").keys()


def network(container: dict[str, Any]) -> tuple[str, list[str]]:
    (connection,) = (one for one in container["networksAdvanced"] if one.get("ipv4Address"))
    return connection["ipv4Address"], connection.get("aliases") or []


def test_replicas_wait_for_each_other() -> None:
    recorded = updated()
    assert "api-1" in recorded.dependencies["api-2"]
    assert start_first(recorded) == set()


def test_nothing_changes_without_a_change() -> None:
    first = updated()
    again = updated(running(first))
    assert again.inputs == first.inputs


def test_a_change_creates_the_new_containers_beside_the_old_ones() -> None:
    first = updated()
    second = updated(running(first), environment={"A": "b"})
    assert start_first(second) == {"api-1", "api-2"}
    for name in ("api-1", "api-2"):
        old, new = first.inputs[name], second.inputs[name]
        assert (old["name"], new["name"]) == (f"strata-test-{name}", f"strata-test-{name}-b")
        assert old["hostname"] == new["hostname"] == name
        (old_address, aliases), (new_address, no_aliases) = network(old), network(new)
        assert old_address != new_address
        assert (aliases, no_aliases) == (["api", f"{name}.api"], [])
        assert any(new_address in variable for variable in new["envs"]), "it listens there"
    assert second.inputs["client-1"] == first.inputs["client-1"]
    third = updated(running(second), environment={"A": "b"})
    assert third.inputs == second.inputs


def test_one_replica_more_or_less_leaves_the_first_alone() -> None:
    two = updated()
    changed = updated(running(two), environment={"A": "b"})
    runs = running(changed)
    one = updated(runs, environment={"A": "b"}, replicas=1)
    assert one.inputs["api-1"] == changed.inputs["api-1"]
    more = updated(running(one), environment={"A": "b"})
    assert more.inputs["api-1"] == changed.inputs["api-1"]
    assert more.inputs["api-2"]["name"] == "strata-test-api-2"
