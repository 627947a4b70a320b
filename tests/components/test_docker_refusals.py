"""What Docker alone cannot carry out is refused by name, before anything is made."""

from typing import Any

import pytest

from strata.config import Settings
from strata.model import File, Listen, Secret
from strata.platforms.docker import unsupported
from tests.components.example import application, composed, settings
from tests.components.stack import refused

LISTENING = (File(path="/etc/app/here", content=Listen("http")),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"replicas": 2, "published": 18000},
            "service app: replicas: a port of the host leads to one replica only",
        ),
        (
            {"replicas": 2, "files": LISTENING},
            "service app: files: replicas share their files, and each listens on an address of its"
            " own",
        ),
        ({"replicas_maximum": 2}, "service app: replicas_maximum: Docker has no autoscaler"),
        (
            {"environment": {"TOKEN": Secret("app")}},
            "service app: environment.TOKEN: holds a secret, which `docker inspect` would show",
        ),
        (
            {"prepare": ("fetch", Secret("app"))},
            "service app: prepare[1]: holds a secret, which `docker inspect` would show",
        ),
    ],
)
def test_a_field_that_docker_cannot_honour(fields: dict[str, Any], expected: str) -> None:
    error, recorded = refused(lambda stack: _app(stack, **fields))
    assert [f"{one.path}: {one.message}" for one in error.problems] == [expected]
    assert set(recorded.inputs) == {"app"}, "the component, and nothing of Docker"


def test_a_setting_is_named_where_it_is_what_asks() -> None:
    changed = settings(services={"app": {"replicasMaximum": 4}})
    error, _ = refused(lambda stack: _app(stack), settings=changed)
    assert [one.path for one in error.problems] == ["strata:services.app.replicasMaximum"]


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
    assert list(unsupported.settings_problems(Settings())) == []


def _app(stack: Any, **fields: Any) -> None:
    application(stack, "app", **fields)
