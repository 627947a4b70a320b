"""Wrong arguments are reported, all at once, before any resource of a platform is created."""

from collections.abc import Callable
from typing import Any

import pytest

from strata.components import (
    AppService,
    AppServiceArgs,
    Datastore,
    DatastoreArgs,
    Gateway,
    GatewayArgs,
    GpuService,
    GpuServiceArgs,
    Route,
)
from strata.components.engines.engine import Engine
from strata.components.engines.kurrentdb import KURRENTDB
from strata.components.engines.memgraph import MEMGRAPH
from strata.components.engines.opensearch import OPENSEARCH
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.questdb import QUESTDB
from strata.components.engines.rabbitmq import RABBITMQ
from strata.components.engines.redis import REDIS
from strata.model import Endpoint, Gpu, GpuMode, Resources
from strata.stack import Stack
from tests.components.example import SMALL
from tests.components.stack import Recorded, refused

API = Endpoint(service="api", port="http", number=8000)


def application(**fields: Any) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        base: dict[str, Any] = {"image": "probe-server", "resources": SMALL}
        AppService("app", AppServiceArgs(stack=stack, **(base | fields)))

    return describe


def gpu(**fields: Any) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        asked = Gpu(**({"mode": GpuMode.PREFER} | fields))
        GpuService(
            "model",
            GpuServiceArgs(stack=stack, image="inference", resources=SMALL, gpu=asked),
        )

    return describe


def datastore(engine: Engine, memory_mib: int) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        resources = Resources(memory_mib=memory_mib, shared_memory_mib=1)
        Datastore("data", DatastoreArgs(stack=stack, engine=engine, resources=resources))

    return describe


def gateway(*routes: Route, **fields: Any) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        AppService("api", AppServiceArgs(stack=stack, image="probe-server", resources=SMALL))
        Gateway("door", GatewayArgs(stack=stack, routes=routes, **fields))

    return describe


def route(path: str = "/", **fields: Any) -> Route:
    return Route(path=path, endpoint=API, **fields)


def assert_nothing_was_created(recorded: Recorded) -> None:
    """The engine knows of components, and of nothing that a provider would create."""
    created = {name: kind for name, kind in recorded.types.items() if "strata:" not in kind}
    assert created == {}


@pytest.mark.parametrize(
    ("describe", "expected"),
    [
        pytest.param(
            application(port=None),
            ["service app: probe: there is no port to probe"],
            id="no probe",
        ),
        pytest.param(
            application(port=None, published=8080),
            [
                "service app: probe: there is no port to probe",
                "service app: published: there is no port to publish",
            ],
            id="nothing to publish",
        ),
        pytest.param(
            gpu(count=0), ["service model: gpu.count: 0 is less than 1"], id="no GPU at all"
        ),
        pytest.param(
            gpu(count=-1), ["service model: gpu.count: -1 is less than 1"], id="every GPU"
        ),
        pytest.param(
            gpu(count=3, device_ids=("0", "1")),
            ["service model: gpu.count: 3 GPUs and 2 device ids contradict each other"],
            id="count against devices",
        ),
        pytest.param(
            gpu(device_ids=("0", "0"), capabilities=("compute",)),
            [
                "service model: gpu.capabilities: health checks need `utility` to see"
                " whether the container has its GPU",
                "service model: gpu.deviceIds: a device is listed twice",
            ],
            id="a device twice, and no utility",
        ),
        pytest.param(
            gpu(device_ids=("all",)),
            ["service model: gpu.deviceIds: 'all' is not a device"],
            id="all devices",
        ),
        pytest.param(
            datastore(POSTGRES, 127),
            ["service data: memory_mib: 127 MiB is less than it needs"],
            id="postgres",
        ),
        pytest.param(
            datastore(REDIS, 63),
            ["service data: memory_mib: 63 MiB is less than it needs"],
            id="redis",
        ),
        pytest.param(
            datastore(RABBITMQ, 255),
            ["service data: memory_mib: 255 MiB is less than it needs"],
            id="rabbitmq",
        ),
        pytest.param(
            datastore(OPENSEARCH, 511),
            ["service data: memory_mib: 511 MiB is less than it needs"],
            id="opensearch",
        ),
        pytest.param(
            datastore(QUESTDB, 511),
            ["service data: memory_mib: 511 MiB is less than it needs"],
            id="questdb",
        ),
        pytest.param(
            datastore(MEMGRAPH, 511),
            ["service data: memory_mib: 511 MiB is less than it needs"],
            id="memgraph",
        ),
        pytest.param(
            datastore(KURRENTDB, 1023),
            ["service data: memory_mib: 1023 MiB is less than it needs"],
            id="kurrentdb",
        ),
        pytest.param(
            gateway(names=()),
            ["service door: names: is empty", "service door: routes: is empty"],
            id="neither routes nor names",
        ),
        pytest.param(
            gateway(route("/x"), route("/x/")),
            ["service door: routes: /x is listed 2 times"],
            id="a path twice",
        ),
        pytest.param(
            gateway(route("/"), route("/*")),
            ["service door: routes: / is listed 2 times"],
            id="the root page twice",
        ),
        pytest.param(
            gateway(route("/x/*")),
            ["service door: routes[0].path: '/x/*' has a '*'"],
            id="a pattern",
        ),
        pytest.param(
            gateway(route("/a; return 200"), route("b")),
            [
                "service door: routes[0].path: '/a; return 200' is not a valid path",
                "service door: routes[1].path: 'b' is not a valid path",
            ],
            id="no paths",
        ),
        pytest.param(
            gateway(route(requests_per_second=0, burst=0, body_kib=0, timeout_seconds=0)),
            [
                "service door: routes[0].body_kib: is less than 1",
                "service door: routes[0].burst: is less than 1",
                "service door: routes[0].requests_per_second: is less than 1",
                "service door: routes[0].timeout_seconds: is less than 1",
            ],
            id="limits",
        ),
    ],
)
def test_arguments(describe: Callable[[Stack], None], expected: list[str]) -> None:
    error, recorded = refused(describe)
    assert [f"{one.path}: {one.message}" for one in error.problems] == expected
    assert all(one.fix for one in error.problems)
    assert_nothing_was_created(recorded)


def test_a_variable_that_a_connection_sets_too() -> None:
    def describe(stack: Stack) -> None:
        database = Datastore("database", DatastoreArgs(stack=stack, engine=POSTGRES))
        AppService(
            "app",
            AppServiceArgs(
                stack=stack,
                image="probe-server",
                resources=SMALL,
                environment={"DATABASE_HOST": "elsewhere"},
                connections={"DATABASE": database.connection},
            ),
        )

    error, recorded = refused(describe)
    assert "connections.DATABASE sets DATABASE_HOST too" in str(error)
    assert_nothing_was_created(recorded)


def test_the_error_is_one_text_with_the_count_the_paths_and_the_remedies() -> None:
    error, _ = refused(application(port=None, published=8080))
    assert str(error) == (
        "2 problems; nothing was changed.\n"
        "  service app: probe: there is no port to probe\n"
        "    set a probe, for example Probe(check=ExecProbe(command=(...)))\n"
        "  service app: published: there is no port to publish\n"
        "    set port"
    )


@pytest.mark.parametrize(
    ("describe", "says"),
    [
        pytest.param(
            application(image="nginxx"),
            "service app: image: unknown image 'nginxx'",
            id="an image that nobody knows",
        ),
        pytest.param(
            gpu(image="cuda"),
            "service model: gpu.image: unknown image 'cuda'",
            id="a GPU image that nobody knows",
        ),
        pytest.param(
            application(resources=Resources(memory_mib=64, cpu=0.005)),
            "service app: cpu: 0.005 is less than Docker accepts",
            id="too little of a core",
        ),
        pytest.param(
            application(resources=Resources(memory_mib=64, cpu_set="0,6-8")),
            "service app: cpu_set: '0,6-8' names cores that the host doesn't have",
            id="cores that are not there",
        ),
        pytest.param(
            application(resources=Resources(memory_mib=20000)),
            "budget: memory: the stack needs 20000 MiB, 14746 MiB are available",
            id="memory",
        ),
        pytest.param(
            application(calls={"API_URL": API}),
            "service app: links[0]: there is no service api",
            id="a link to nobody",
        ),
    ],
)
def test_a_stack_that_cannot_be_makes_nothing(describe: Callable[[Stack], None], says: str) -> None:
    error, recorded = refused(describe)
    assert says in str(error)
    assert_nothing_was_created(recorded)
