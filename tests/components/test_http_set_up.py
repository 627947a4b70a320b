"""The script that sets up a managed service through its HTTP API, against a server with TLS."""

import base64
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from strata.components.engines.http_set_up import SCRIPT
from strata.model import authority_certificate, certificate, private_key
from strata.model.secrets import DerivedSecrets

REQUESTS = [
    {"method": "PUT", "path": "/users/strata", "body": {"tags": []}},
    {"method": "POST", "path": "/rights", "body": {"read": ".*"}},
]


@dataclass
class Api:
    """What the server was sent. It accepts `password`, and answers `/rights` with `status`."""

    url: str = ""
    password: str = "present"
    status: int = 204
    received: list[tuple[str, str, Any]] = field(default_factory=list)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                wanted = base64.b64encode(f"admin:{api.password}".encode()).decode()
                if self.headers["Authorization"] != f"Basic {wanted}":
                    self.send_error(401)
                    return
                api.received.append((self.command, self.path, body))
                self.send_response(api.status if self.path == "/rights" else 201)
                self.end_headers()

            do_PUT = do_POST = _answer  # noqa: N815 - the server names them

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    secrets = DerivedSecrets(b"a seed that only tests use", "test", {})
    chain, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    chain.write_text(secrets.encode(certificate("server", ("localhost",))))
    key.write_text(secrets.encode(private_key("server", ("localhost",))))
    (tmp_path / "ca.pem").write_text(secrets.encode(authority_certificate()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    served = Api()
    with ThreadingHTTPServer(("127.0.0.1", 0), served.handler()) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        served.url = f"https://localhost:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield served
        server.shutdown()


def run(api: Api, folder: Path, *passwords: str) -> "subprocess.CompletedProcess[str]":
    (folder / "requests.json").write_text(json.dumps(REQUESTS))
    (folder / "passwords").write_text("".join(f"{one}\n" for one in passwords))
    environment = {
        "URL": api.url,
        "ADMINISTRATOR": "admin",
        "REQUESTS_FILE": f"{folder}/requests.json",
        "PASSWORDS_FILE": f"{folder}/passwords",
        "CA_FILE": f"{folder}/ca.pem",
    }
    command = [sys.executable, "-I", str(SCRIPT)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("passwords", [("present", "former"), ("next", "present")])
def test_it_sends_each_request_with_the_password_that_is_accepted(
    api: Api, tmp_path: Path, passwords: tuple[str, str]
) -> None:
    result = run(api, tmp_path, *passwords)
    assert result.returncode == 0, result.stderr
    assert api.received == [(one["method"], one["path"], one["body"]) for one in REQUESTS]
    assert result.stdout == "PUT /users/strata: 201\nPOST /rights: 204\n"


def test_it_fails_at_a_request_that_is_rejected(api: Api, tmp_path: Path) -> None:
    api.status = 400
    result = run(api, tmp_path, "present", "former")
    assert (result.returncode, result.stderr) == (1, "POST /rights: 400 \n")


def test_it_fails_without_a_password_that_is_accepted(api: Api, tmp_path: Path) -> None:
    result = run(api, tmp_path, "other", "another")
    assert result.returncode == 1
    assert result.stderr.startswith("PUT /users/strata: 401 ")
    assert "another" not in result.stderr
    assert api.received == []


def test_it_sends_nothing_to_a_server_that_it_cannot_verify(api: Api, tmp_path: Path) -> None:
    other = DerivedSecrets(b"the seed of another stack", "test", {})
    (tmp_path / "ca.pem").write_text(other.encode(authority_certificate()))
    result = run(api, tmp_path, "present", "former")
    assert result.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in result.stderr
    assert api.received == []
