"""Secrets are files: marked as secret on their way to the engine, and nowhere in plain."""

import json
from collections.abc import Callable

import pulumi
import pytest
from cryptography import x509

from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.rabbitmq import PasswordHash
from strata.components.engines.redis import REDIS
from strata.model import File, Secret, private_key
from strata.model.secrets import DerivedSecrets
from strata.stack import Stack
from systems.reference import compose as reference
from tests.components.example import SMALL, application
from tests.components.stack import SEED, Recorded, compose, plain, refused
from tests.systems import opensearch

OWNERS = ("postgres", "redis", "rabbitmq")


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return compose(lambda stack: reference(stack)).recorded


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    derived = DerivedSecrets(SEED, "test", {})
    key = derived.encode(private_key("gateway", ("localhost", "127.0.0.1")))
    return (
        {owner: derived.encode(Secret(owner)) for owner in OWNERS}
        | {"hash of rabbitmq": derived.encode(Secret("rabbitmq", PasswordHash()))}
        | {"key": json.dumps(key)[1:-1], "seed": SEED.decode()}
    )


def test_no_secret_reaches_the_engine(recorded: Recorded, secrets: dict[str, str]) -> None:
    """Not even encrypted: no secret is in Pulumi's state."""
    sent = json.dumps(recorded.as_sent)
    assert [name for name, value in secrets.items() if value in sent] == []
    written = json.dumps(recorded.files)
    there = [name for name, value in secrets.items() if value in written]
    assert there == [name for name in secrets if name != "seed"], "the search would find them"


def test_a_secret_file_is_readable_only_by_its_user(recorded: Recorded) -> None:
    def modes(volume: str) -> dict[str, int]:
        files = recorded.volume_files[recorded.inputs[volume]["name"]]
        return {name: file.mode for name, file in files.items()}

    assert modes("gateway-run-secrets") == {
        "certificate.pem": 0o444,
        "metrics.js": 0o444,
        "nginx.conf": 0o444,
        "private-key.pem": 0o400,
    }
    assert modes("redis-run-secrets") == {
        "password": 0o400,
        "redis.conf": 0o444,
        "users.acl": 0o400,
    }


def test_labels_show_which_files_change() -> None:
    def fingerprints(text: str) -> dict[str, str]:
        def describe(stack: Stack) -> None:
            files = (
                File(path="/etc/app/kept.conf", content="the same"),
                File(path="/etc/app/changed.conf", content=text),
            )
            application(stack, "app", files=files)

        labels = compose(describe).recorded.inputs["app-etc-app"]["labels"]
        return {
            one["label"]: one["value"] for one in labels if one["label"].startswith("strata.file.")
        }

    before, after = fingerprints("old"), fingerprints("new")
    assert before["strata.file.kept.conf"] == after["strata.file.kept.conf"]
    assert before["strata.file.changed.conf"] != after["strata.file.changed.conf"]


def test_a_service_mounts_its_own_files_read_only(recorded: Recorded) -> None:
    mounts = {one["target"]: one for one in recorded.service("api")["mounts"]}
    assert set(mounts) == {"/run/secrets"}
    assert mounts["/run/secrets"]["readOnly"] is True
    assert mounts["/run/secrets"]["source"].startswith("strata-test-api-files-")


def with_generation(**generations: int) -> dict[str, str]:
    """Volume name by logical name."""
    stack = compose(lambda stack: reference(stack), generations=generations).recorded
    return {name: inputs["name"] for name, inputs in stack.of("Volume").items()}


@pytest.mark.parametrize(
    ("owner", "users"),
    [
        ("redis", {"redis-run-secrets", "redis-exporter-run-secrets", "api-run-secrets"}),
        (
            "postgres",
            {f"{user}-run-secrets" for user in ("postgres", "postgres-exporter", "api", "worker")},
        ),
    ],
)
def test_a_rotated_secret_changes_the_volumes_of_who_uses_it(owner: str, users: set[str]) -> None:
    before, after = with_generation(), with_generation(**{owner: 2})
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == users


def test_a_changed_file_stops_a_container_only_when_it_is_replaced(recorded: Recorded) -> None:
    """A volume that is deleted first would stop all containers that mount a changed one, at once."""
    volumes = {name for name in recorded.of("Volume") if name.endswith("-run-secrets")}
    assert {"api-run-secrets", "postgres-run-secrets"} <= volumes <= recorded.created_first
    for container in recorded.of("Container"):
        assert "mounts" in recorded.replacement_triggers[container][1]


def test_the_same_seed_gives_the_same_stack(recorded: Recorded) -> None:
    again = compose(lambda stack: reference(stack)).recorded
    assert again.inputs == recorded.inputs


def test_two_clients_of_one_datastore_have_a_file_each() -> None:
    def describe(stack: Stack) -> None:
        cache = Datastore("cache", DatastoreArgs(stack=stack, engine=REDIS))
        for name in ("first", "second"):
            AppService(
                name,
                AppServiceArgs(
                    stack=stack,
                    image="probe-server",
                    resources=SMALL,
                    connections={"CACHE": cache.connection},
                ),
            )
        application(stack, "stranger")

    recorded = compose(describe).recorded
    sources = [recorded.service(one)["mounts"][0]["source"] for one in ("first", "second")]
    assert len(set(sources)) == 2
    assert "mounts" not in recorded.service("stranger")
    assert "CACHE_PASSWORD_FILE=/run/secrets/cache-password" in recorded.service("first")["envs"]


def test_a_client_can_verify_a_datastore_with_tls() -> None:
    def describe(stack: Stack) -> None:
        orders = Datastore("orders", DatastoreArgs(stack=stack, engine=POSTGRES))
        application(stack, "shop", connections={"MY_DATABASE": orders.connection})

    recorded = compose(describe).recorded
    assert {
        "MY_DATABASE_HOST=orders",
        "MY_DATABASE_PASSWORD_FILE=/run/secrets/my-database-password",
        "MY_DATABASE_CA_FILE=/run/secrets/my-database-ca.pem",
    } <= set(recorded.service("shop")["envs"])
    authority = recorded.files["/shop-run-secrets/my-database-ca.pem"]
    server, issuer = x509.load_pem_x509_certificates(
        recorded.files["/orders-run-secrets/certificate.pem"].encode()
    )
    assert x509.load_pem_x509_certificate(authority.encode()) == issuer
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["orders"]


def test_a_client_of_an_engine_without_a_password_has_no_secret() -> None:
    recorded = compose(opensearch.compose).recorded
    client = recorded.service("client")
    variables = [one for one in client["envs"] if one.startswith("SEARCH_")]
    assert variables == ["SEARCH_HOST=store", "SEARCH_PORT=9200"]
    assert "mounts" not in client


@pytest.mark.parametrize("make", [pulumi.Output.from_input, pulumi.Output.secret])
def test_an_output_is_a_secret_file(make: Callable[[str], pulumi.Output[str]]) -> None:
    def described(token: str) -> Recorded:
        def describe(stack: Stack) -> None:
            content = ("token = ", make(token), "\n")
            application(stack, "app", files=(File(path="/run/secrets/app.conf", content=content),))

        return compose(describe).recorded

    recorded = described("a user's token")
    assert recorded.files == {"/app-run-secrets/app.conf": "token = a user's token\n"}
    sent = json.dumps(plain(recorded.as_sent))
    assert "a user's token" not in sent
    (mount,) = recorded.service("app")["mounts"]
    assert mount["source"] == recorded.inputs["app-run-secrets"]["name"]
    assert mount["source"] in sent, "the name of the volume is no secret"
    assert described("a user's token").service("app")["mounts"] == [mount]
    assert described("another token").service("app")["mounts"] != [mount]


def test_an_output_in_the_environment_is_rejected() -> None:
    def describe(stack: Stack) -> None:
        application(stack, "app", environment={"TOKEN": pulumi.Output.from_input("a token")})

    error, _ = refused(describe)
    assert [problem.path for problem in error.problems] == ["service app: environment.TOKEN"]
