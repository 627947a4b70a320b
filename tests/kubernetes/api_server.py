"""A real API server of Kubernetes with its store, on loopback: no nodes, no controllers."""

from __future__ import annotations

import contextlib
import re
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from toolchain import control_plane
from toolchain.layout import here

START_SECONDS = 120
STOP_SECONDS = 20
REQUEST_SECONDS = 30
# What admission says, in an error or a warning: the level, then its reasons with details in brackets.
VIOLATION = re.compile(r'violates? PodSecurity "[^"]+": (.*)', re.DOTALL)
WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


class ApiServer:
    """Answers of the server, each as JSON."""

    def __init__(self, address: str, token: str, certificate: Path) -> None:
        self._address = address
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.verify = str(certificate)
        self._session.trust_env = False  # a proxy is for what lies beyond this machine

    def ready(self) -> bool:
        try:
            return bool(self.send("GET", "/readyz").ok)
        except (requests.ConnectionError, OSError):
            return False  # not listening yet, or the certificate is not written yet

    def send(self, method: str, path: str, body: Any = None, dry_run: bool = False) -> Any:
        return self._session.request(
            method,
            f"{self._address}{path}",
            json=body,
            params={"dryRun": "All"} if dry_run else None,
            timeout=REQUEST_SECONDS,
        )

    def create(self, path: str, body: Any) -> None:
        answer = self.send("POST", path, body)
        assert answer.status_code == 201, answer.text


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Starts both programs and ends them again; everything that they write is in the folder."""
    programs = control_plane.programs(here())
    missing = [name for name, path in programs.items() if not path.is_file()]
    if missing:
        pytest.fail(f"{' and '.join(missing)} not built: run `make test LAYER=kubernetes`")
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},tester,1,system:masters\n")
    write_key(folder / "accounts.key")
    # Ports that nobody has right now; a server that finds one taken meanwhile says so in its log.
    client, peer, secure = free_ports(3)
    store = [
        *(str(programs["etcd"]), "--data-dir", str(folder / "store")),
        *("--listen-client-urls", f"http://127.0.0.1:{client}"),
        *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync",  # what it holds is thrown away
    ]
    server = [
        *(str(programs["kube-apiserver"]), f"--etcd-servers=http://127.0.0.1:{client}"),
        *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={secure}"),
        *(f"--cert-dir={folder}", f"--token-auth-file={folder / 'tokens.csv'}"),
        *("--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/24"),
        *("--service-account-issuer=https://kubernetes.default.svc",),
        *(f"--service-account-key-file={folder / 'accounts.key'}",),
        *(f"--service-account-signing-key-file={folder / 'accounts.key'}",),
        "--allow-privileged",  # else validation refuses such a pod before admission sees it
        # A controller, which is not here, would make the account that every pod is given.
        "--disable-admission-plugins=ServiceAccount",
    ]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        started = [stack.enter_context(program(command, log)) for command in (store, server)]
        api = ApiServer(f"https://127.0.0.1:{secure}", token, folder / "apiserver.crt")
        deadline = time.monotonic() + START_SECONDS
        while not api.ready():
            ended = [one for one in started if one.poll() is not None]
            if ended or time.monotonic() > deadline:
                last = (folder / "log").read_text(errors="replace")[-3000:]
                pytest.fail(f"the API server did not start in {START_SECONDS} s:\n{last}")
            time.sleep(0.1)
        yield api


@contextlib.contextmanager
def program(command: list[str], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def write_key(file: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


def objections(answer: requests.Response) -> frozenset[str]:
    """The reasons for which admission refused something, or warned of it."""
    if not answer.ok:
        return reasons(str(answer.json().get("message", "")))
    warnings = WARNING.findall(answer.headers.get("Warning", ""))
    return frozenset().union(*(reasons(one.replace('\\"', '"')) for one in warnings))


def reasons(said: str) -> frozenset[str]:
    """What Pod Security admission objects to, without the details: `host namespaces`, `hostPort`."""
    found = VIOLATION.search(said)
    if found is None:
        return frozenset()
    depth, plain = 0, ""
    for letter in found[1]:
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and letter != ")":
            plain += letter
    return frozenset(part.strip() for part in plain.split(","))
