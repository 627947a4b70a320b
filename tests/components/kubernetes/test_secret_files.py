"""Secrets and files: where they are, and where they are not."""

import json
from typing import Any

from strata.model import File, Secret, certificate, private_key
from strata.model.secrets import DerivedSecrets
from strata.stack import Stack
from tests.components.example import application
from tests.components.kubernetes.example import composed
from tests.components.kubernetes.stack import SEED, compose
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
        "defaultMode": 0o444,
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
