"""Secrets and files: where they are, and where they are not."""

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from strata.model import File, Secret, certificate, private_key
from strata.model.secrets import DerivedSecrets
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes.example import composed
from tests.components.kubernetes.stack import SEED, Recorded, compose, refused
from tests.components.stack import plain

SECRET = File(path="/run/secrets/password", content=Secret("app"))
PLAIN = File(path="/etc/app/settings.conf", content="a = 1\n")
VALUE = DerivedSecrets(SEED, "test", {}).encode(Secret("app"))


def test_a_folder_with_a_secret_is_a_secret() -> None:
    recorded = composed(files=(SECRET, PLAIN)).recorded
    secret, public = recorded.only("Secret"), recorded.only("ConfigMap")
    assert secret["stringData"] == {"password": VALUE}
    assert public["data"] == {"settings.conf": "a = 1\n"}
    for one in (secret, public):
        assert one["immutable"] is True


def test_a_container_mounts_them_read_only() -> None:
    recorded = composed(files=(SECRET, PLAIN)).recorded
    volumes = {one["name"]: one for one in recorded.pod("app")["volumes"]}
    mounts = {one["mountPath"]: one for one in recorded.container("app")["volumeMounts"]}
    mounted = mounts["/run/secrets"]
    assert mounted["readOnly"] is True
    assert volumes[mounted["name"]]["secret"] == {
        "secretName": recorded.only("Secret")["metadata"]["name"],
        "defaultMode": 0o440,
    }
    config_map = volumes[mounts["/etc/app"]["name"]]["configMap"]
    assert config_map["name"] == recorded.only("ConfigMap")["metadata"]["name"]


def test_a_secret_is_nowhere_in_the_clear() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", files=(SECRET, PLAIN))

    recorded = compose(describe).recorded
    sent: Any = {"/".join(key): plain(one) for key, one in recorded.as_sent.items()}
    assert VALUE not in json.dumps(sent)
    assert VALUE in json.dumps({"/".join(key): one for key, one in recorded.as_sent.items()})


@pytest.mark.parametrize("make", [pulumi.Output.from_input, pulumi.Output.secret])
def test_an_output_is_always_a_secret(make: Callable[[str], pulumi.Output[str]]) -> None:
    def described(token: str) -> Recorded:
        def describe(stack: Stack) -> None:
            content = ("token = ", make(token), "\n")
            file = File(path="/run/secrets/app.conf", content=content)
            application(stack, "app", files=(file, PLAIN))

        return compose(describe).recorded

    recorded = described("a user's token")
    secret = recorded.only("Secret")
    assert secret["stringData"] == {"app.conf": "token = a user's token\n"}
    sent = {"/".join(key): plain(one) for key, one in recorded.as_sent.items()}
    assert "a user's token" not in json.dumps(sent)
    name = secret["metadata"]["name"]
    assert name in json.dumps(recorded.pod("app")["volumes"]), "the pod mounts it"
    assert name in json.dumps(sent), "its name is no secret"
    assert described("a user's token").only("Secret")["metadata"]["name"] == name
    assert described("another token").only("Secret")["metadata"]["name"] != name


def test_an_output_in_the_environment_is_rejected() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", environment={"TOKEN": pulumi.Output.from_input("a token")})

    (problem,) = refused(describe)[0].problems
    assert problem.path == "service app: environment.TOKEN"
    assert "/run/secrets" in problem.fix


def test_another_content_is_another_object_for_who_uses_it_alone() -> None:
    def names(generation: int) -> dict[str, str]:
        def describe(stack: Stack) -> None:
            for owner in ("one", "two"):
                file = File(path="/run/secrets/password", content=Secret(owner))
                application(stack, owner, files=(file,))

        recorded = compose(describe, generations={"one": generation}).recorded
        return {name: one["metadata"]["name"] for name, one in recorded.of("Secret").items()}

    before, after = names(1), names(2)
    assert set(before) == set(after), "the same resources: the engine replaces, in order"
    assert {key for key in before if before[key] != after[key]} == {"one/run/secrets"}


def test_who_serves_a_certificate_says_whom_to_trust() -> None:
    files = (
        File(path="/run/secrets/certificate.pem", content=certificate("app", ("app",))),
        File(path="/run/secrets/key.pem", content=private_key("app", ("app",))),
    )
    assert composed(files=files).outputs["certificateAuthority"].startswith("-----BEGIN CERT")
    assert "certificateAuthority" not in composed().outputs
