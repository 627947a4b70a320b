"""A secret of the settings is a file of the services that name it, and nowhere else in plain."""

import json
from typing import Any

import pytest

from strata.config import Settings
from strata.model import ExternalSecret, File
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import compose, plain, refused

VALUE = "a-value-of-its-own"
CONTENT = ("token = ", ExternalSecret("token"), "\n")


def settings(platform: str = "docker", **secrets: Any) -> Settings:
    return Settings.model_validate({"platform": platform, "secrets": secrets})


def described(stack: Stack) -> None:
    application(stack, "app", files=(File(path="/run/secrets/app.conf", content=CONTENT),))
    application(stack, "other", files=(File(path="/etc/other/name", content="other"),))


def test_on_docker_the_state_has_no_trace_of_it() -> None:
    recorded = compose(described, settings=settings(token=VALUE)).recorded
    files = recorded.volume_files[recorded.inputs["app-run-secrets"]["name"]]
    assert (files["app.conf"].content, files["app.conf"].mode) == (f"token = {VALUE}\n", 0o400)
    assert VALUE not in json.dumps(recorded.as_sent)


def test_on_kubernetes_it_is_a_secret() -> None:
    made = on_kubernetes.compose(described, settings=settings("kubernetes", token=VALUE))
    assert made.recorded.only("Secret")["stringData"] == {"app.conf": f"token = {VALUE}\n"}
    sent = {"/".join(key): plain(one) for key, one in made.recorded.as_sent.items()}
    assert VALUE not in json.dumps(sent)


def test_another_value_replaces_what_uses_it() -> None:
    def volumes(value: str) -> dict[str, Any]:
        recorded = compose(described, settings=settings(token=value)).recorded
        return {name: one["name"] for name, one in recorded.of("Volume").items()}

    before, after = volumes("a value"), volumes("another value")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"app-run-secrets"}


def test_a_secret_that_the_settings_lack() -> None:
    error, recorded = refused(described)
    (problem,) = error.problems
    assert problem.path == "service app: files./run/secrets/app.conf"
    assert "pulumi config set --secret --path strata:secrets.token" in problem.fix
    assert not recorded.of("Container")


def test_a_secret_that_nothing_uses() -> None:
    error, _ = refused(described, settings=settings(token=VALUE, tokne=VALUE))
    (problem,) = error.problems
    assert (problem.path, problem.fix) == ("strata:secrets.tokne", "use one of: token")


def test_a_secret_of_a_service_that_is_left_out() -> None:
    def optional(stack: Stack) -> None:
        file = File(path="/run/secrets/app.conf", content=CONTENT)
        application(stack, "app", files=(file,), profiles=("more",))
        application(stack, "other")

    assert compose(optional, settings=settings(token=VALUE)).recorded.service("other")


@pytest.mark.parametrize(
    ("rejects", "platform"), [(refused, "docker"), (on_kubernetes.refused, "kubernetes")]
)
def test_it_is_rejected_where_it_would_be_seen(rejects: Any, platform: str) -> None:
    def described(stack: Stack) -> None:
        application(stack, "app", environment={"TOKEN": ExternalSecret("token")})

    error, _ = rejects(described, settings=settings(platform, token=VALUE))
    assert [problem.path for problem in error.problems] == ["service app: environment.TOKEN"]
