"""Where the secrets of `strata:secrets` come from."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from strata import config
from strata.config import ExternalSecrets, Settings, read_secrets
from strata.model import InvalidStackError
from strata.platforms.eks.aws import external_secrets

REGION = "eu-west-1"


def settings(**secrets: Any) -> Settings:
    """Settings as Pulumi passes them."""
    return config.load({"strata:secrets": json.dumps(secrets)})


def read(**secrets: Any) -> ExternalSecrets:
    return read_secrets(settings(**secrets).secrets)


def test_a_value_as_pulumi_stores_it() -> None:
    # `pulumi config set --path` stores digits as a number.
    secrets = read(token="a token", pin=1234, flag=True, long={"value": "another"})
    assert secrets.values == {"token": "a token", "pin": "1234", "flag": "true", "long": "another"}
    assert not secrets.problems


def test_no_representation_shows_a_value() -> None:
    shown = repr(settings(token="a token").secrets) + repr(read(token="a token"))
    assert "a token" not in shown


def test_a_file_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("a token\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    secrets = read(
        relative={"file": "token"},
        absolute={"file": str(tmp_path / "token")},
        home={"file": "~/token"},
    )
    assert set(secrets.values.values()) == {"a token\n"}
    assert len(secrets.values) == 3


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").touch()
    secrets = read(
        missing={"file": str(tmp_path / "missing")},
        binary={"file": str(tmp_path / "binary")},
        empty={"file": str(tmp_path / "empty")},
    )
    messages = {problem.path: problem.message for problem in secrets.problems}
    assert set(messages) == {
        f"strata:secrets.{name}.file" for name in ("missing", "binary", "empty")
    }
    assert "No such file" in messages["strata:secrets.missing.file"]
    assert "not text" in messages["strata:secrets.binary.file"]
    assert "is empty" in messages["strata:secrets.empty.file"]
    assert not secrets.values


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ({}, "must have exactly one of value, file, awsSecret"),
        ({"value": "a", "file": "b"}, "must have exactly one of value, file, awsSecret"),
        ({"file": "a", "key": "b"}, "must have awsSecret if it has a key"),
        ({"fil": "a"}, "unknown key"),
        (["a"], "write a map"),
    ],
)
def test_a_source_that_is_not_one(secret: object, message: str) -> None:
    with pytest.raises(InvalidStackError, match=message) as caught:
        settings(token=secret)
    assert all(each.path.startswith("strata:secrets.token") for each in caught.value.problems)


def test_aws_is_a_source_on_eks_alone() -> None:
    (problem,) = read(token={"awsSecret": "prod/token"}).problems
    assert problem.path == "strata:secrets.token.awsSecret"
    assert "only for a stack on EKS" in problem.message


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account with three secrets."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with mock_aws():
        client = boto3.client("secretsmanager", region_name=REGION)
        client.create_secret(Name="prod/token", SecretString="a token")
        database = {"username": "shop", "password": "a password", "port": 5432}
        client.create_secret(Name="prod/orders", SecretString=json.dumps(database))
        client.create_secret(Name="prod/binary", SecretBinary=b"\x00")
        yield client


def read_aws(**secrets: Any) -> ExternalSecrets:
    return read_secrets(settings(**secrets).secrets, external_secrets.reader(REGION))


def test_aws_secrets_manager(secrets_manager: Any) -> None:
    arn = secrets_manager.describe_secret(SecretId="prod/token")["ARN"]
    secrets = read_aws(
        token={"awsSecret": "prod/token"},
        same={"awsSecret": arn},
        password={"awsSecret": "prod/orders", "key": "password"},
        port={"awsSecret": "prod/orders", "key": "port"},
    )
    assert not secrets.problems
    assert secrets.values == {
        "token": "a token",
        "same": "a token",
        "password": "a password",
        "port": "5432",
    }


@pytest.mark.usefixtures("secrets_manager")
def test_secrets_that_aws_does_not_give() -> None:
    secrets = read_aws(
        missing={"awsSecret": "prod/missing"},
        binary={"awsSecret": "prod/binary"},
        nothing={"awsSecret": "prod/orders", "key": "passwort"},
        plain={"awsSecret": "prod/token", "key": "password"},
    )
    messages = {problem.path: str(problem) for problem in secrets.problems}
    assert "ResourceNotFound" in messages["strata:secrets.missing.awsSecret"]
    assert "secretsmanager:GetSecretValue" in messages["strata:secrets.missing.awsSecret"]
    assert "is binary" in messages["strata:secrets.binary.awsSecret"]
    assert "use one of: password, port, username" in messages["strata:secrets.nothing.key"]
    assert "not a JSON object" in messages["strata:secrets.plain.key"]
    assert "a token" not in str(messages)
    assert not secrets.values


def test_a_preview_without_credentials_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    monkeypatch.setattr("pulumi.log.warn", lambda message: warnings.append(message))
    monkeypatch.setattr(external_secrets, "has_credentials", lambda: False)
    secrets = read_aws(token={"awsSecret": "prod/token"})
    assert secrets.values == {"token": ""}
    (warning,) = warnings
    assert warning.startswith("strata:secrets.token: not read")
