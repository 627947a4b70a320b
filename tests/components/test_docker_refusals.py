"""What Docker alone can't do is reported by field, before anything is created."""

from typing import Any

import pytest

from strata.config import Settings
from strata.model import (
    ApiAccess,
    File,
    HostFolder,
    HostMount,
    Listen,
    Resources,
    Secret,
    Volume,
)
from strata.platforms.docker import unsupported
from strata.stack import Stack
from tests.components.example import application, composed, settings
from tests.components.kubernetes.agents import describe
from tests.components.stack import compose, refused
from tests.unit.examples import service

LISTENING = (File(path="/etc/app/here", content=Listen("http")),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"replicas": 2, "published": 18000},
            "service app: replicas: a host port can forward to only one replica",
        ),
        (
            {"replicas": 2, "files": LISTENING},
            "service app: files: replicas share their files, and each listens on its own addresses",
        ),
        ({"replicas_maximum": 2}, "service app: replicas_maximum: Docker has no autoscaler"),
        (
            {"resources": Resources(memory_mib=5, shared_memory_mib=1)},
            "service app: memory_mib: 5 MiB is less than Docker accepts",
        ),
        (
            {"volumes": (Volume(name="data", path="/data", storage_class="fast"),)},
            "service app: volumes.data.storage_class: Docker has no storage classes",
        ),
        (
            {"environment": {"TOKEN": Secret("app")}},
            "service app: environment.TOKEN: contains a secret, which `docker inspect` would show",
        ),
        (
            {"prepare": ("fetch", Secret("app"))},
            "service app: prepare[1]: contains a secret, which `docker inspect` would show",
        ),
        (
            {"host_mounts": (HostMount(folder=HostFolder.POD_LOGS, path="/logs", reason="a"),)},
            "service app: host_mounts: Docker has no pods",
        ),
    ],
)
def test_a_field_that_docker_cannot_honour(fields: dict[str, Any], expected: str) -> None:
    error, recorded = refused(lambda stack: _app(stack, **fields))
    assert [f"{one.path}: {one.message}" for one in error.problems] == [expected]
    assert set(recorded.inputs) == {"app"}, "the component, and nothing of Docker"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"api_access": (ApiAccess(resources=("pods",)),)},
            "service app: api_access: Docker has no Kubernetes API",
        ),
        ({"bucket": True}, "service app: bucket: Docker has no object store"),
    ],
)
def test_what_a_cluster_alone_has(fields: dict[str, Any], expected: str) -> None:
    error, _ = refused(describe(service("app", **fields)))
    assert [f"{one.path}: {one.message}" for one in error.problems] == [expected]


def test_docker_has_one_node() -> None:
    recorded = compose(describe(service("app", on_every_node=True))).recorded
    assert [name for name in recorded.inputs if name.startswith("app-")] == ["app-1"]


def test_a_setting_is_named_where_it_is_what_asks() -> None:
    changed = settings(services={"app": {"replicasMaximum": 4}})
    error, _ = refused(lambda stack: _app(stack), settings=changed)
    assert [one.path for one in error.problems] == ["strata:services.app.replicasMaximum"]


def test_equal_ports_of_the_settings_are_named() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "web", published=stack.settings.ports.http)
        application(stack, "metrics", published=stack.settings.ports.dashboards)

    equal = settings(ports={"http": 8080, "dashboards": 8080})
    error, recorded = refused(describe, settings=equal)
    assert [one.path for one in error.problems] == ["strata:ports.http, strata:ports.dashboards"]
    assert set(recorded.inputs) == {"web", "metrics"}, "the components, and nothing of Docker"


def test_a_volume_has_no_class_on_docker() -> None:
    volumes = (
        Volume(name="data", path="/data"),
        Volume(name="logs", path="/logs", storage_class="cold"),
        Volume(name="models", path="/models", storage_class="fast"),
    )
    changed = settings(
        services={
            "app": {
                "volumes": {
                    "data": {"storageClass": "fast"},
                    "models": {"storageClass": "faster"},
                }
            }
        }
    )
    error, _ = refused(lambda stack: _app(stack, volumes=volumes), settings=changed)
    assert [f"{one.path}: {one.message}" for one in error.problems] == [
        "service app: volumes.logs.storage_class: Docker has no storage classes",
        "strata:services.app.volumes.data.storageClass: Docker has no storage classes",
        "strata:services.app.volumes.models.storageClass: Docker has no storage classes",
    ]


@pytest.mark.parametrize(("stateful", "taken"), [(False, "app-2"), (True, "app-0")])
def test_the_host_names_of_replicas_are_taken(stateful: bool, taken: str) -> None:
    def describe(stack: Stack) -> None:
        _app(stack, replicas=2, stateful=stateful)
        application(stack, taken)

    error, _ = refused(describe)
    assert [f"{one.path}: {one.message}" for one in error.problems] == [
        f"service {taken}: is also the host name of a replica of app"
    ]


def test_the_least_memory_that_docker_accepts() -> None:
    fields = {"resources": Resources(memory_mib=6, shared_memory_mib=1)}
    assert composed(**fields).recorded.service("app")["memory"] == 6


def test_a_maximum_that_is_the_number_of_replicas_is_none() -> None:
    assert set(composed(replicas=2, replicas_maximum=2).recorded.of("Container")) == {
        "app-1",
        "app-2",
    }


def test_settings_of_other_platforms_are_refused() -> None:
    given = {
        "aws": {"region": "eu-central-1"},
        "kubernetes": {"context": "there"},
        "domain": "example.com",
        "loadBalancer": {"public": True},
        "imageDigests": {"application": f"sha256:{'0' * 64}"},
    }
    found = {one.path: one for one in unsupported.settings_problems(Settings.model_validate(given))}
    assert set(found) == {f"strata:{key}" for key in given}
    assert "strata:images" in found["strata:imageDigests"].fix
    assert "strata:gateway.acme" in found["strata:domain"].fix
    assert list(unsupported.settings_problems(Settings())) == []
    acme = {"domain": "example.com", "gateway": {"acme": {"email": "me@example.com"}}}
    assert list(unsupported.settings_problems(Settings.model_validate(acme))) == []


def _app(stack: Any, **fields: Any) -> None:
    application(stack, "app", **fields)
