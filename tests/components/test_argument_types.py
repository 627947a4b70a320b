"""An argument of the wrong type is reported with its path, before anything else looks at it."""

from collections.abc import Callable
from typing import Any

import pytest

from strata.components import Datastore, DatastoreArgs, Gateway, GatewayArgs
from strata.model import Build, File, Port, Resources, Volume
from strata.stack import Stack
from tests.components.example import application, on_gpu
from tests.components.stack import refused


def app(**fields: Any) -> Callable[[Stack], None]:
    def describe(stack: Stack) -> None:
        application(stack, "app", **fields)

    return describe


def server_instead_of_endpoint(stack: Stack) -> None:
    application(stack, "app", calls={"CACHE": application(stack, "server")})


def wrong_engine(stack: Stack) -> None:
    engine: Any = "mysql"
    Datastore("db", DatastoreArgs(stack=stack, engine=engine))


def wrong_route(stack: Stack) -> None:
    route: Any = {"/": "app"}
    Gateway("gateway", GatewayArgs(stack=stack, routes=(route,)))


def wrong_gpu(stack: Stack) -> None:
    on_gpu(stack, "model", memory_mib="20GB")


@pytest.mark.parametrize(
    ("describe", "path", "message", "fix"),
    [
        (
            app(resources=Resources(memory_mib="256")),  # type: ignore[arg-type]
            "service app: resources.memory_mib",
            "is of the wrong type: str '256'",
            "pass int",
        ),
        (
            app(replicas="2"),
            "service app: replicas",
            "is of the wrong type: str '2'",
            "pass int",
        ),
        (
            app(command="python"),
            "service app: command",
            "is of the wrong type: str 'python'",
            "pass tuple[Text, ...]",
        ),
        (
            app(ports=(Port(name="a", number=80), Port(name="b", number="81"))),  # type: ignore[arg-type]
            "service app: ports[1].number",
            "is of the wrong type: str '81'",
            "pass int",
        ),
        (
            app(volumes=[Volume(name="data", path="/data")]),
            "service app: volumes",
            "is of the wrong type: list",
            "pass tuple[Volume, ...]: a tuple, (a, b), instead of a list",
        ),
        (
            app(environment={"A": "1", "B": 2}),
            "service app: environment.B",
            "is of the wrong type: int 2",
            "pass Mapping[str, Text]",
        ),
        (
            app(files=(File(path="/run/secrets/a", content=b"secret"),)),  # type: ignore[arg-type]
            "service app: files[0].content",
            "is of the wrong type: bytes",
            "pass Text",
        ),
        (
            app(image=Build("./app", arguments={"VERSION": 3})),  # type: ignore[dict-item]
            "service app: image.arguments.VERSION",
            "is of the wrong type: int 3",
            "pass Mapping[str, str]",
        ),
        (
            server_instead_of_endpoint,
            "service app: calls.CACHE",
            "is of the wrong type: AppService",
            "pass one of its endpoints, for example .endpoint()",
        ),
        (
            wrong_engine,
            "service db: engine",
            "is of the wrong type: str 'mysql'",
            "pass Engine",
        ),
        (
            wrong_route,
            "service gateway: routes[0]",
            "is of the wrong type: dict",
            "pass tuple[Route, ...]",
        ),
        (
            wrong_gpu,
            "service model: gpu.memory_mib",
            "is of the wrong type: str '20GB'",
            "pass int | None",
        ),
    ],
)
def test_a_wrong_type(describe: Callable[[Stack], None], path: str, message: str, fix: str) -> None:
    error, _ = refused(describe)
    (problem,) = error.problems
    assert (problem.path, problem.message, problem.fix) == (path, message, fix)


def test_all_wrong_types_of_a_component_are_reported() -> None:
    error, _ = refused(app(replicas="2", resources=Resources(memory_mib="256", cpu="1")))  # type: ignore[arg-type]
    assert [problem.path for problem in error.problems] == [
        "service app: replicas",
        "service app: resources.cpu",
        "service app: resources.memory_mib",
    ]
