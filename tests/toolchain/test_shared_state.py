"""A state in S3, which two clones share by `pulumi login`, with secrets encrypted by a passphrase or by
AWS KMS. Both are moto's, behind a server on loopback."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import boto3
import pytest
import requests
from moto import mock_aws

from toolchain import files, stack
from toolchain.layout import Layout, here, process_environment

BUCKET = "team-state"
PROJECT = "name: shared\nruntime: python\n"
SETTINGS = "config:\n  strata:platform: eks\n"
KMS = "TrentService."
"""The prefix of the operations of KMS (its service model, `targetPrefix`)."""
OF_A_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}


class Relay(BaseHTTPRequestHandler):
    """Sends each request to AWS, as which moto answers in this process. `operations`: those of KMS."""

    protocol_version = "HTTP/1.1"
    operations: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_kms = self.headers.get("X-Amz-Target", "").startswith(KMS)
        if is_kms:
            self.operations.add(self.headers["X-Amz-Target"].removeprefix(KMS))
        answer = requests.request(
            self.command,
            f"https://{'kms.us-east-1' if is_kms else 's3'}.amazonaws.com{self.path}",
            data=body,
            headers={k: v for k, v in self.headers.items() if k.lower() not in OF_A_CONNECTION},
            timeout=10,
            stream=True,  # The answer to HEAD has a length, and no content.
        )
        content = b"" if self.command == "HEAD" else answer.content
        length = answer.headers.get("Content-Length", "0")
        self.send_response(answer.status_code)
        for key, value in answer.headers.items():
            if key.lower() not in OF_A_CONNECTION:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)) if content else length)
        self.end_headers()
        self.wfile.write(content)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server names them

    def log_message(self, *arguments: object) -> None:
        """The tests' output has no requests."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of S3 and KMS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    Relay.operations.clear()
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


@pytest.fixture
def url(aws: str) -> str:
    """The backend, as `pulumi login` takes it."""
    return f"s3://{BUCKET}?region=us-east-1&s3ForcePathStyle=true&endpoint={aws}"


class Clone:
    """A clone after set-up, and a person's environment."""

    def __init__(self, root: Path) -> None:
        self.layout = layout = Layout(root)
        layout.bin.mkdir(parents=True)
        shutil.copy(here().root / "toolchain" / "pulumi-wrapper.sh", layout.bin / "pulumi")
        (layout.bin / "pulumi").chmod(0o755)
        layout.pulumi_folder.parent.mkdir()
        layout.pulumi_folder.symlink_to(here().pulumi_folder)
        layout.venv.symlink_to(here().venv)
        (root / "toolchain").symlink_to(here().root / "toolchain")
        files.write(root / "Pulumi.yaml", PROJECT)
        files.write(layout.stack_file("prod"), SETTINGS)
        files.write(layout.passphrase, "of this clone")

    def pulumi(self, *arguments: str) -> str:
        environment = process_environment(self.layout, "registries", None)
        environment["HOME"] = str(self.layout.root)
        done = subprocess.run(
            [str(self.layout.bin / "pulumi"), *arguments, "--non-interactive"],
            cwd=self.layout.root,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_two_clones_share_a_stack_in_s3(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    ada, ben = Clone(tmp_path / "ada"), Clone(tmp_path / "ben")
    for clone in (ada, ben):
        clone.pulumi("login", url)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the team")
    ada.pulumi("stack", "init", "prod")
    ada.pulumi("config", "set", "--stack", "prod", "--secret", "shared:token", "a token")
    # As if by git.
    shared = ada.layout.stack_file("prod").read_text()
    assert "encryptionsalt" in shared
    assert "a token" not in shared
    ben.layout.stack_file("prod").write_text(shared)
    # Set-up leaves it all as it is.
    stack.ensure(ben.layout, dict(os.environ), "prod")
    assert ben.layout.stack_file("prod").read_text() == shared
    assert ben.pulumi("config", "get", "--stack", "prod", "shared:token").strip() == "a token"
    assert "prod" in ben.pulumi("stack", "ls")
    assert not any(clone.layout.state.exists() for clone in (ada, ben))
    ben.pulumi("logout")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    ben.layout.state.mkdir()
    assert "prod" not in ben.pulumi("stack", "ls")


def test_the_secrets_of_a_stack_are_encrypted_by_kms(
    url: str, aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may use the key needs no passphrase."""
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    kms = boto3.client("kms", region_name="us-east-1")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/pulumi", TargetKeyId=key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", aws)
    ada, ben = Clone(tmp_path / "ada"), Clone(tmp_path / "ben")
    for clone in (ada, ben):
        clone.pulumi("login", url)
    provider = "awskms://alias/pulumi?region=us-east-1"
    ada.pulumi("stack", "init", "prod", "--secrets-provider", provider)
    ada.pulumi("config", "set", "--stack", "prod", "--secret", "shared:token", "a token")
    shared = ada.layout.stack_file("prod").read_text()
    assert "encryptedkey" in shared
    assert "encryptionsalt" not in shared
    assert "a token" not in shared
    ben.layout.stack_file("prod").write_text(shared)
    stack.ensure(ben.layout, dict(os.environ), "prod")
    assert ben.layout.stack_file("prod").read_text() == shared
    assert ben.pulumi("config", "get", "--stack", "prod", "shared:token").strip() == "a token"
    assert Relay.operations == {"Encrypt", "Decrypt"}
