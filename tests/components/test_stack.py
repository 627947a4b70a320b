"""A stack checks everything before it creates anything, and reports all problems at once."""

from collections.abc import Callable
from typing import Any

import pytest

from strata.collect import collect
from strata.components import (
    AppJob,
    AppJobArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    Route,
)
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis import REDIS
from strata.config import Settings
from strata.model import (
    Endpoint,
    File,
    InvalidStackError,
    Link,
    Listen,
    Ordinal,
    Peers,
    Port,
    Problem,
    ReplicaHost,
    Resources,
    Secret,
    Volume,
)
from strata.stack import Stack
from tests.components import stack as on_docker
from tests.components.example import SMALL, application, settings
from tests.components.kubernetes import stack as on_kubernetes

NOWHERE = Endpoint(service="nowhere", port="http", number=8000)
PLATFORMS: dict[str, Callable[..., tuple[InvalidStackError, Any]]] = {
    "docker": on_docker.refused,
    "kubernetes": on_kubernetes.refused,
}


def job(stack: Stack, name: str, **fields: object) -> AppJob:
    shared = {"image": "application", "resources": SMALL}
    return AppJob(name, AppJobArgs(stack=stack, **(shared | fields)))  # type: ignore[arg-type]


def two(*names: str) -> Callable[[Stack], None]:
    """The first calls a service that doesn't exist, the second is called by nobody."""

    def describe(stack: Stack) -> None:
        first, second = names
        application(stack, first, NOWHERE)
        application(stack, second)

    return describe


@pytest.mark.parametrize("platform", PLATFORMS)
def test_problems_of_every_kind_are_one_error(platform: str) -> None:
    def describe(stack: Stack) -> None:
        application(stack, "api", port=None, links=(NOWHERE,))
        application(stack, "worker", environment={"TOKEN": Secret("worker")}, replicas=0)
        job(stack, "nightly", schedule="daily")

    error, recorded = PLATFORMS[platform](
        describe, settings=settings(services={"typo": {"replicas": 2}})
    )
    assert [one.path for one in error.problems] == [
        "job nightly: schedule",
        "service api: links[0]",
        "service api: probe",
        "service worker: environment.TOKEN",
        "service worker: replicas",
        "strata:services.typo",
    ]
    assert str(error).startswith("6 problems; nothing was changed.\n")
    assert {kind for kind in recorded.types.values() if "strata:" not in kind} == set()


@pytest.mark.parametrize("profiles", [(), ("more",)])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_name_that_is_taken_is_reported_at_once(platform: str, profiles: tuple[str, ...]) -> None:
    def describe(stack: Stack) -> None:
        application(stack, "api", port=None, profiles=profiles)
        job(stack, "api")
        raise AssertionError("the program went on")

    error, recorded = PLATFORMS[platform](describe)
    assert [f"{one.path}: {one.message}" for one in error.problems] == [
        "job api: this name is used twice",
        # What is known by then is reported with it.
        "service api: probe: there is no port to probe",
    ]
    assert len(recorded.types) == 1, "the second component isn't registered"


def test_a_problem_is_reported_once() -> None:
    problem = Problem("service api: image", "is not known", "use another")
    error = InvalidStackError([problem, problem])
    assert error.problems == (problem,)
    assert str(error) == (
        "1 problem; nothing was changed.\n  service api: image: is not known\n    use another"
    )


def test_a_stack_knows_what_it_consists_of_without_an_engine() -> None:
    def compose(stack: Stack) -> None:
        database = Datastore("database", DatastoreArgs(stack=stack, engine=POSTGRES))
        application(stack, "api", connections={"DATABASE": database.connection})
        application(stack, "extra", profiles=("more",))

    composition = collect(compose, settings(services={"api": {"memoryMib": 99}}))
    assert [one.name for one in composition.workloads] == ["database", "api"]
    assert composition.links == (Link("api", "database", 5432),)
    assert composition.workloads[1].resources == Resources(memory_mib=99, cpu=0.5)
    assert list(composition.problems()) == []
    again = collect(compose, Settings(profiles=("more",)))
    assert {one.name for one in again.workloads} == {"database", "api", "extra"}


def test_a_stack_that_is_collected_reports_its_problems_and_raises_for_a_taken_name() -> None:
    composition = collect(two("a", "b"), Settings())
    assert [one.path for one in composition.problems()] == ["service a: links[0]"]
    with pytest.raises(InvalidStackError, match="service a: this name is used twice"):
        collect(two("a", "a"), Settings())


@pytest.mark.parametrize("enabled", [False, None, True])
def test_a_service_is_left_out_with_all_that_names_it(enabled: bool | None) -> None:
    """`enabled` of its settings says so, or else its profile, which is disabled here."""

    def describe(stack: Stack) -> None:
        cache = Datastore("cache", DatastoreArgs(stack=stack, engine=REDIS, profiles=("more",)))
        page = application(stack, "page", profiles=("more",))
        api = application(
            stack,
            "api",
            cache.endpoint("redis"),
            connections={"CACHE": cache.connection},
            calls={"PAGE_URL": page.endpoint()},
        )
        job(stack, "fill", connections={"CACHE": cache.connection})
        routes = (
            Route(path="/", endpoint=api.endpoint()),
            Route(path="/p", endpoint=page.endpoint()),
        )
        Gateway("gateway", GatewayArgs(stack=stack, routes=routes))

    changed = {} if enabled is None else {"enabled": enabled}
    composition = collect(describe, settings(services={"cache": changed, "page": changed}))
    assert list(composition.problems()) == []
    named = {each.name: each for each in composition.workloads}
    api = named["api"]
    seen = (
        {"cache", "page"} <= named.keys(),
        {key for key in api.environment if not key.startswith("LISTEN")} > set(),
        api.files > (),
        named["fill"].files > (),
        any(link.server in ("cache", "page") for link in composition.links),
        "location = /p " in str(named["gateway"].files[0].content),
    )
    assert seen == (bool(enabled),) * 6
    assert {"api", "fill", "gateway"} <= named.keys()


@pytest.mark.parametrize("compose", [on_docker.compose, on_kubernetes.compose])
def test_a_stack_without_services_is_deployed(compose: Callable[..., Any]) -> None:
    composed = compose(lambda stack: application(stack, "app", profiles=("more",)))
    assert (composed.outputs["links"], composed.outputs["services"]) == ([], [])


def test_a_plan_is_data_and_says_what_is_wrong_on_the_platform() -> None:
    def describe(stack: Stack) -> None:
        database = Datastore("database", DatastoreArgs(stack=stack, engine=POSTGRES))
        application(stack, "api", connections={"DATABASE": database.connection})
        application(stack, "large", resources=Resources(memory_mib=20000))

    composition = collect(describe, Settings())
    plan = on_docker.platform().plan(composition)
    assert [one.path for one in plan.problems] == ["budget: memory"]
    assert [one.name for one in plan.networks.networks] == ["strata-test-database-5432"]
    assert plan.images == {"database": "postgres", "api": "probe-server", "large": "probe-server"}
    assert on_docker.platform().plan(composition) == plan, "the same plan each time"


ODD: dict[str, dict[str, Any]] = {
    "no replicas": {"replicas": 0},
    "fewer than no replicas": {"replicas": -3},
    "no CPU": {"resources": Resources(memory_mib=64, cpu=0)},
    "less than no CPU": {"resources": Resources(memory_mib=64, cpu=-1)},
    "less than no memory": {"resources": Resources(memory_mib=-1)},
    "no such user": {"user": "www-data"},
    "no such user and group": {"user": "1:2:3"},
    "no such port": {"environment": {"A": Listen("grpc")}},
    "a port of no number": {"ports": (Port(name="grpc", number=-1),)},
    "a port named as another": {"ports": (Port(name="http", number=8001),)},
    "a path of a file without a folder": {"files": (File(path="note", content="x"),)},
    "the root as a file": {"files": (File(path="/", content="x"),)},
    "no name": {"profiles": (), "image": ""},
    "an unknown job": {"after": ("nothing",)},
    "a volume of no size": {"volumes": (Volume(name="data", path="/data", size_gib=-1),)},
    "a template with a hole": {"environment": {"A": Listen("http", template="{")}},
    "two volumes in one place": {
        "volumes": (
            Volume(name="a", path="/data", cache=True),
            Volume(name="b", path="/data", cache=True),
        )
    },
    "a volume without a name": {"volumes": (Volume(name="", path=""),)},
    "peers that aren't": {"environment": {"A": (Ordinal(), ReplicaHost(), Peers())}},
    "a template that can't be filled in": {"environment": {"A": Listen("http", template="{x}")}},
    "more replicas than addresses": {"replicas": 500},
}


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("odd", ODD)
def test_whatever_is_wrong_is_a_problem_and_no_traceback(platform: str, odd: str) -> None:
    error, _ = PLATFORMS[platform](lambda stack: application(stack, "app", NOWHERE, **ODD[odd]))
    assert len(error.problems) > 1, "the link to nowhere is reported, and nothing else"
