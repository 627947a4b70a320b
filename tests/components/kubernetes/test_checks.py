"""What Kubernetes cannot do is refused with its field, and nothing is made."""

from typing import Any

import pytest

from strata.config import Settings
from strata.model import (
    Capability,
    File,
    GpuMode,
    LogRotation,
    Port,
    Problem,
    Resources,
    Restart,
    Secret,
    Ulimit,
    Volume,
)
from strata.platforms.kubernetes import checks
from strata.platforms.kubernetes.names import StackNames
from strata.stack import Stack
from tests.components.example import application, on_gpu, settings
from tests.components.kubernetes.example import job
from tests.components.kubernetes.stack import FakeCluster, compose, refused
from tests.unit.examples import service

LARGE = "x" * (1024 * 1024 + 1)


@pytest.mark.parametrize(
    ("fields", "path", "problem"),
    [
        (
            {"resources": Resources(memory_mib=64, cpu_set="0")},
            "service app: cpu_set",
            "can't pin a container to cores",
        ),
        ({"user": "0:0"}, "service app: user", "is root"),
        ({"user": "10001:0"}, "service app: user", "is root"),
        (
            {"capabilities": (Capability(name="SYS_ADMIN", reason="no"),)},
            "service app: capabilities",
            "forbids SYS_ADMIN",
        ),
        ({"restart": Restart.NO}, "service app: restart", "always restarts"),
        ({"restart": Restart.ON_FAILURE}, "service app: restart", "always restarts"),
        (
            {"extra_hosts": {"here": "host-gateway"}},
            "service app: extra_hosts",
            "host-gateway, the address of here, is not",
        ),
        (
            {"ulimits": (Ulimit(name="core", soft=0, hard=1),)},
            "service app: ulimits",
            "can't set core=1",
        ),
        (
            {"ulimits": (Ulimit(name="nofile", soft=1, hard=65537),)},
            "service app: ulimits",
            "can't set nofile=65537",
        ),
        (
            {"environment": {"PASSWORD": Secret("app")}},
            "service app: environment.PASSWORD",
            "contains a secret",
        ),
        ({"command": (Secret("app"),)}, "service app: command[0]", "contains a secret"),
        ({"prepare": (Secret("app"),)}, "service app: prepare[0]", "contains a secret"),
        (
            {"volumes": (Volume(name="My_data", path="/data", cache=True),)},
            "service app: volumes.My_data",
            "is not a valid name",
        ),
        (
            {"files": (File(path="/etc/app/a b", content=""),)},
            "service app: files./etc/app/a b",
            "not a valid key of a Secret",
        ),
        (
            {"files": (File(path="/etc/app/a", content=LARGE),)},
            "service app: files",
            "has 1048577 bytes",
        ),
    ],
)
def test_a_field(fields: dict[str, Any], path: str, problem: str) -> None:
    error, recorded = refused(lambda stack: _application(stack, **fields))
    (reported,) = error.problems
    assert reported.path == path
    assert problem in reported.message
    assert recorded.objects == {}


def test_a_device_cannot_be_named() -> None:
    error, _ = refused(lambda stack: _gpu(stack))
    assert "service model: gpu.device_ids" in {one.path for one in error.problems}


def test_a_job_is_refused_alike() -> None:
    error, _ = refused(lambda stack: _job(stack, user="0"))
    assert [one.path for one in error.problems] == ["job job: user"]


@pytest.mark.parametrize("name", ["UPPER", "1234", "sixteen-letters-x", "a--b", "-a"])
def test_a_port_has_a_name_of_a_service(name: str) -> None:
    one = service("app", ports=(Port(name=name, number=8000),))
    (reported,) = checks.check_workloads([one])
    assert reported.path == "service app: ports"


@pytest.mark.parametrize("name", ["http", "a", "fifteen-letters", "h2"])
def test_a_name_that_is_one_is_taken(name: str) -> None:
    one = service("app", ports=(Port(name=name, number=8000),))
    assert list(checks.check_workloads([one])) == []


@pytest.mark.parametrize(
    ("name", "in_use"),
    [("store-pods", True), ("door-public", True), ("store-public", False), ("door-pods", False)],
)
def test_the_name_of_another_services_object_is_refused(name: str, in_use: bool) -> None:
    store = service("store", stateful=True)
    door = service("door", ports=(Port(name="http", number=8000, published=18000),))
    paths = [one.path for one in checks.check_workloads([store, door, service(name)])]
    assert paths == ([f"service {name}: name"] if in_use else [])


def test_one_service_is_published() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "first", published=18000)
        application(stack, "second", published=18001)

    error, _ = refused(describe)
    (reported,) = error.problems
    assert reported.path == "service second: ports"
    assert "first is already published" in reported.message


def test_all_mistakes_are_told_at_once() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", user="0", after=("nothing",))
        on_gpu(stack, "model", GpuMode.REQUIRE)
        application(stack, "huge", resources=Resources(memory_mib=999_999))

    error, recorded = refused(
        describe,
        cluster=FakeCluster(found=(Problem("strata:aws.account", "is missing", "say it"),)),
    )
    assert [one.path for one in error.problems] == [
        "service app: after[0]",
        "service app: user",
        "service huge: resources",
        "service model: gpu",
        "strata:aws.account",
    ]
    assert recorded.objects == {}


def test_a_cycle_is_reported_with_the_rest() -> None:
    from strata.model import Endpoint

    def describe(stack: Stack) -> None:
        for name, other in (("a", "b"), ("b", "a")):
            application(stack, name, Endpoint(service=other, port="http", number=8000))

    error, _ = refused(describe)
    assert "these workloads wait for each other, so none can start" in str(error)


def test_rotation_of_logs_is_the_nodes_own() -> None:
    changed = service("app", log_rotation=LogRotation(size_mib=5))
    (reported,) = checks.check_log_rotation([changed, service("other")])
    assert reported.path == "service app: log_rotation"


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"images": "local"}, "strata:images"),
        ({"network": {"range": "10.200.0.0/16"}}, "strata:network"),
        ({"host": {"reservedMemoryMib": 1}}, "strata:host"),
        ({"ports": {"http": 8080}}, "strata:ports"),
        ({"platform": "kubernetes", "aws": {"region": "eu-west-1"}}, "strata:aws"),
        ({"platform": "eks", "kubernetes": {"context": "here"}}, "strata:kubernetes"),
    ],
)
def test_a_setting_of_another_platform(settings: dict[str, Any], path: str) -> None:
    (reported,) = checks.check_settings(Settings.model_validate(settings))
    assert reported.path == path


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"platform": "eks", "aws": {"region": "eu-west-1"}},
        {"platform": "kubernetes", "kubernetes": {"registry": "registry.test"}},
    ],
)
def test_a_setting_of_this_platform(settings: dict[str, Any]) -> None:
    assert list(checks.check_settings(Settings.model_validate(settings))) == []


def test_development_needs_a_folder_of_this_machine() -> None:
    changed = settings(
        platform="kubernetes",
        services={
            "app": {
                "develop": True,
                "debugPort": 5678,
                "ports": {"http": 8000},
                "volumes": {"data": {"tmpfsMib": 64}},
            },
            "other": {"develop": False},
        },
    )
    error, recorded = refused(_two, settings=changed)
    assert [str(one).strip() for one in error.problems] == [
        "strata:services.app.debugPort: a cluster runs nothing in a debugger\n    remove it",
        "strata:services.app.develop: a cluster can't mount a folder of this machine\n    remove it",
        "strata:services.app.ports: a cluster can't publish a port on this machine\n    remove it",
        "strata:services.app.volumes.data.tmpfsMib: data in memory would be lost whenever a pod moves"
        "\n    remove it",
    ]
    assert recorded.objects == {}


def test_a_stack_is_a_namespace() -> None:
    (reported,) = checks.check_names(
        StackNames(project="strata", stack="My_Stack", system="example")
    )
    assert "strata-My_Stack" in reported.message


def test_what_docker_refuses_with_replicas_is_had_here() -> None:
    recorded = compose(lambda stack: _application(stack, published=18000, replicas=2)).recorded
    assert recorded.workload("app")["spec"]["replicas"] == 2


def _application(stack: Stack, **fields: Any) -> None:
    application(stack, "app", **fields)


def _two(stack: Stack) -> None:
    for name in ("app", "other"):
        application(stack, name, volumes=(Volume(name="data", path="/data"),))


def _gpu(stack: Stack) -> None:
    on_gpu(stack, "model", GpuMode.PREFER, device_ids=("0",))


def _job(stack: Stack, **fields: Any) -> None:
    job(stack, **fields)


def test_of_nodes_that_are_described_wrongly_it_is_not_said_what_fits() -> None:
    def describe(stack: Stack) -> None:
        on_gpu(stack, "model", GpuMode.REQUIRE)
        application(stack, "app", user="0")

    wrong = Problem("strata:aws.gpuNodes[0].instanceTypes[0]", "is none", "take another")
    error, recorded = refused(describe, cluster=FakeCluster(wrong_nodes=(wrong,)))
    assert [one.path for one in error.problems] == ["service app: user", wrong.path]
    assert recorded.objects == {}
