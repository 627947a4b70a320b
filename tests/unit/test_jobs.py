"""Jobs in a composition: their order, their links, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from strata.components import AppJobArgs
from strata.components.app_job import describe
from strata.model import (
    Composition,
    Job,
    Link,
    Overrides,
    Resources,
    Volume,
    Workload,
    Zone,
)
from strata.stack import Stack
from tests.unit.examples import link, service


def job(name: str, **changed: Any) -> Job:
    base = Job(
        name=name,
        image="probe-server",
        zone=Zone.BACKEND,
        resources=Resources(memory_mib=64, cpu=0.5),
        user="10001:10001",
        command=("true",),
    )
    return replace(base, **changed)


def compose(*processes: Workload, overrides: Overrides | None = None) -> Composition:
    composition = Composition(overrides or Overrides())
    for one in processes:
        composition.add(one)
    return composition


def problems(composition: Composition) -> list[str]:
    return [f"{problem.path}: {problem.message}" for problem in composition.problems()]


def test_a_job_starts_after_its_servers_and_before_who_waits_for_it() -> None:
    composition = compose(
        service("api", after=("migrate",)),
        job("migrate", links=(link("database"),)),
        service("database"),
    )
    assert [one.name for one in composition.workloads] == ["database", "migrate", "api"]
    assert [one.name for one in composition.services] == ["database", "api"]
    assert [one.name for one in composition.jobs] == ["migrate"]
    assert composition.links == (Link("migrate", "database", 8000),)
    assert problems(composition) == []


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ([service("a", after=("b",))], "service a: after[0]: there is no job or service b"),
        (
            [service("a", after=("b",)), job("b", schedule="0 3 * * *")],
            "service a: after[0]: b runs on a schedule, so nothing can wait for it",
        ),
        (
            [service("a", after=("b",)), job("b", links=(link("a"),))],
            "links: these workloads wait for each other, so none can start: a -> b -> a",
        ),
        ([job("a", links=(link("b"),)), job("b")], "job a: links[0]: there is no service b"),
        ([job("a", schedule="daily")], "job a: schedule: 'daily' is not a cron schedule"),
        ([job("a", retries=-1)], "job a: retries: -1 is less than 0"),
        ([job("a", timeout_seconds=0)], "job a: timeout_seconds: 0 is less than 1"),
        (
            [service("a", replicas=3, replicas_maximum=2)],
            "service a: replicas_maximum: 2 is less than the 3 replicas that always run",
        ),
        (
            [service("a", replicas_maximum=2, volumes=(Volume(name="data", path="/data"),))],
            "service a: replicas: each replica would have separate data, because each has its own volume",
        ),
        (
            [service("a", volumes=(Volume(name="data", path="/data", size_gib=0),))],
            "service a: volumes.data.size_gib: 0 is less than 1",
        ),
    ],
)
def test_a_mistake_is_found(processes: list[Workload], expected: str) -> None:
    assert problems(compose(*processes)) == [expected]


def test_replicas_may_each_have_a_cache() -> None:
    cached = service("a", replicas=2, volumes=(Volume(name="models", path="/m", cache=True),))
    assert problems(compose(cached)) == []


def test_settings_change_the_size_of_a_job_and_not_how_many_there_are() -> None:
    overrides = Overrides(services={"a": {"memory_mib": 128}})
    assert compose(job("a"), overrides=overrides).jobs[0].resources.memory_mib == 128
    overrides = Overrides(services={"a": {"replicas": 2}})
    assert problems(compose(job("a"), overrides=overrides)) == [
        "strata:services.a.replicas: a job runs once at a time"
    ]


def test_settings_say_how_far_a_service_may_grow() -> None:
    overrides = Overrides(services={"a": {"replicas": 2, "replicas_maximum": 5}})
    changed = compose(service("a"), overrides=overrides).services[0]
    assert (changed.replicas, changed.replicas_maximum) == (2, 5)


def test_an_environment_of_a_job_adds_to_what_its_component_sets() -> None:
    args = AppJobArgs(
        stack=Stack(),
        image="application",
        resources=Resources(memory_mib=64, cpu=0.5),
        environment={"DATABASE_HOST": "x"},
        calls={"API_URL": link("api")},
    )
    assert describe("nightly", args).environment == {
        "API_URL": "http://api:8000",
        "DATABASE_HOST": "x",
    }
