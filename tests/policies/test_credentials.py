"""What the rules recognize as a credential in a variable or a file, and what they leave alone."""

from __future__ import annotations

import json

import pytest

from strata.policies.rules.credentials import (
    Credential,
    credentials,
    has_url_password,
    is_secret_name,
)
from strata.policies.rules.kubernetes.cluster import secret_config_map
from tests.planned import changes_for, plan
from tests.policies.policy_testing import TODAY, Made, resources

# Assembled here, so that no scanner takes this file for a leak.
LETTERS = "Ab1" * 30
AWS_KEY = "AKIA" + "Q7" * 8
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "c2lnbmF0dXJl"
TOKENS = (
    "ghp_" + LETTERS[:36],
    "gho_" + LETTERS[:36],
    "github_pat_" + LETTERS[:22] + "_" + LETTERS[:59],
    "glpat-" + LETTERS[:20],
    "glrt-" + LETTERS[:20],
    "xoxb-" + "123456789012-" + LETTERS[:24],
    "xapp-" + "1-" + LETTERS[:24],
    "https://hooks.slack.com/services/" + "T01234567/B01234567/" + LETTERS[:24],
    "hf_" + LETTERS[:34],
    "sk-" + LETTERS[:48],
    "sk-proj-" + LETTERS[:60],
    "sk_live_" + LETTERS[:24],
    "rk_test_" + LETTERS[:24],
)
SYSTEMS = ("reference", "dredge", "node_intelligence", "project88", "jimbot", "datapunk")
# Files without a secret in folders with secrets, which are Secrets as a whole.
PLAIN_FILES = (
    "nginx.conf",
    "prometheus.json",
    "rules.json",
    "rabbitmq.conf",
    "redis.conf",
    "start",
)


def forms(content: str, file: str = "file") -> list[str]:
    return [one.form for one in credentials(file, content)]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        *[(f"header {token};", "token") for token in TOKENS],
        *[
            (f"-----BEGIN {kind}-----\nMIIB\n-----END {kind}-----", "private-key")
            for kind in (
                "PRIVATE KEY",
                "RSA PRIVATE KEY",
                "ENCRYPTED PRIVATE KEY",
                "OPENSSH PRIVATE KEY",
                "PGP PRIVATE KEY BLOCK",
            )
        ],
        (f"id {AWS_KEY}", "aws-key"),
        (f"# id: {AWS_KEY.replace('AKIA', 'ASIA')}", "aws-key"),
        (f"Authorization: Bearer {JWT}", "jwt"),
        ("dsn postgres://shop:hunter2@db/shop", "url"),
        ("jdbc:postgresql://shop:hunter2@db/shop", "url"),
        ('{"cache": "redis://:hunter2@cache:6379"}', "url"),
    ],
)
def test_a_credential_has_a_form(content: str, form: str) -> None:
    assert forms(content) == [form]


@pytest.mark.parametrize(
    "content",
    [
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        f"{AWS_KEY}0",
        f"X{AWS_KEY}",
        "task-" + LETTERS[:48],
        "ghp_short",
        "xoxb-your-token-here",
        "eyJhbGciOiJIUzI1NiJ9",
        "http://loki:3100/a@b",
        '{"url": "http://loki:3100", "mail": "ada@example.com"}',
        '["http://loki:3100","ada@example.com"]',
        "http://loki:3100?mail=ada@example.com",
        "docker://name:1.0@sha256:0123",
        *[
            f"postgres://shop:{password}@db"
            for password in (
                "$PASSWORD",
                "${PASSWORD}",
                "$(PASSWORD)",
                "%(password)s",
                "<password>",
            )
        ],
        *[f"postgres://shop:{password}@db" for password in ("{{.Password}}", "***", "xxxx")],
    ],
)
def test_what_only_looks_like_a_form(content: str) -> None:
    assert forms(content) == []


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("DB_PASSWORD=hunter2", "DB_PASSWORD"),
        ("export API_TOKEN='hunter2'", "API_TOKEN"),
        ("--api-key=hunter2", "api-key"),
        ("spring.datasource.password = hunter2", "spring.datasource.password"),
        ("admin_password = hunter2 ; of Grafana", "admin_password"),
        ("- PGPASSWORD=hunter2", "PGPASSWORD"),
        ("  password: hunter2 # changed in May", "password"),
        ('smtp_auth_password: "hunter2"', "smtp_auth_password"),
        ("login: {user: ada, password: hunter2}", "password"),
        ('{"user":"ada","password":"hunter2"}', "password"),
        ('    "clientSecret": "hunter2",', "clientSecret"),
        ('"credentials" : "hunter2"', "credentials"),
        ("secret_key: hunter2", "secret_key"),
        ("aws_secret_access_key = wJalr/XUtn+FEMI", "aws_secret_access_key"),
        ("encryptionKey: hunter2", "encryptionKey"),
        ("password2: hunter2", "password2"),
        ("passphrase: '123456'", "passphrase"),
        ("PASSWORD=${PASSWORD:-hunter2}", "PASSWORD"),
        ("authorization: {credentials: hunter2}", "credentials"),
    ],
)
def test_a_name_says_that_the_value_is_a_secret(content: str, name: str) -> None:
    assert list(credentials("file", f"# A comment.\n{content}\n")) == [Credential(2, name=name)]


@pytest.mark.parametrize(
    "content",
    [
        # The name says something else.
        "password_file: hunter2",
        "token_lifetime=hunter2",
        "password_encryption = scram-sha-256",
        "secretName: hunter2",
        "passwordPolicy: strict",
        "sort_key: hunter2",
        "proxy_pass http://hunter2;",
        # The value is no secret.
        "password:",
        "password=",
        'password: ""',
        "password: /run/secrets/password",
        "password: ./password",
        "password: file:/run/secrets/password",
        "token: https://login.example.com/token",
        *[
            f"password: {value}"
            for value in ("$PASSWORD", "${PASSWORD}", "$(cat /run/password)", "$__file{/run/x}")
        ],
        *[
            f"password: {value}"
            for value in ("{{ .Values.password }}", "'{{ password }}'", "<secret>")
        ],
        *[
            f"password = {value}"
            for value in ("%(password)s", "@PASSWORD@", "__PASSWORD__", "%PW%")
        ],
        *[
            f"password: {value}"
            for value in ("changeme", "change-me", "REPLACE_ME", "your-password")
        ],
        *[f"password: {value}" for value in ("'****'", "xxx", "...", "placeholder", "null", "~")],
        *[f"token: {value}" for value in ("true", "required", "string", "3600")],
        "PASSWORD=${PASSWORD:-}",
        "password: '8 characters or more'",
        "password: |",
        "password: *shared",
        "password: !vault hunter2",
        'password: {"type": "string"}',
        '"password": {"minimum": 8}',
        "existingSecret: gateway-keys",
        # No pair, or a comment.
        "# password: hunter2",
        "the password: hunter2",
        '"message": "give the user, password: hunter2"',
    ],
)
def test_a_file_without_a_secret(content: str) -> None:
    assert list(credentials("file", content)) == []


@pytest.mark.parametrize(
    "line", ["password = settings.password", "token=token,", "{'token': token}"]
)
def test_in_code_only_what_is_quoted_is_a_value(line: str) -> None:
    assert list(credentials("probe.py", line)) == []
    assert list(credentials("probe", f"#!/usr/bin/env python3\n{line}")) == []
    assert list(credentials("probe.py", 'password = "hunter2"')) == [Credential(1, name="password")]
    shell = "#!/usr/bin/env bash\nPASSWORD=hunter2"
    assert list(credentials("probe", shell)) == [Credential(2, name="PASSWORD")]


def test_a_file_can_be_one_value() -> None:
    assert list(credentials("db-password", "hunter2\n")) == [Credential(0)]
    assert list(credentials("password.txt", "hunter2")) == [Credential(0)]
    assert list(credentials("MAX_TOKEN", "hunter2", {"MAX_TOKEN"})) == []
    assert list(credentials("password.md", "hunter2")) == []
    assert list(credentials("secrets", "one\ntwo\nthree\n")) == []


def test_a_value_is_reported_once() -> None:
    assert forms(f"GITHUB_TOKEN={TOKENS[0]}") == ["token"]
    assert forms("database_password=pg://shop:hunter2@db") == ["url"]


@pytest.mark.parametrize("name", ["PGPASSWORD", "DB_PASSWORD", "dbPassword", "API_KEY", "JWT_KEYS"])
def test_a_variable_is_named_like_a_secret(name: str) -> None:
    assert is_secret_name(name)
    assert not is_secret_name(name, {name})


@pytest.mark.parametrize("name", ["", "SORT_KEY", "COMPASS", "TOKENIZER", "PGPASSFILE"])
def test_a_variable_is_not_named_like_a_secret(name: str) -> None:
    assert not is_secret_name(name)


def test_a_url_has_a_password() -> None:
    assert has_url_password("pg://a:$PASSWORD@b pg://a:hunter2@b")
    assert not has_url_password("pg://a:$PASSWORD@b")


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_configuration_of_a_system_looks_like_a_credential(system: str) -> None:
    """Prometheus, Alertmanager, Loki, Mimir, Grafana, NGINX and the datastores, as planned on EKS."""
    manifests = plan(changes_for(system)).manifests()
    maps = {
        one["metadata"]["name"]: Made("kubernetes:core/v1:ConfigMap", one)
        for one in manifests
        if one["kind"] == "ConfigMap"
    }
    assert any("prometheus" in json.dumps(made.properties) for made in maps.values())
    settings = secret_config_map.configured()
    for resource in resources(maps):
        assert secret_config_map.judge(resource, settings, TODAY) == []
    files = [
        (name, content)
        for one in manifests
        if one["kind"] == "Secret"
        for name, content in one["stringData"].items()
    ]
    plain = [(name, content) for name, content in files if name in PLAIN_FILES]
    assert "nginx.conf" in dict(plain)
    assert [name for name, content in plain if list(credentials(name, content))] == []
    # And real ones are recognized.
    assert "private-key" in forms(dict(files)["private-key.pem"])
