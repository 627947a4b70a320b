"""A real API server of Kubernetes with its store, on loopback: no nodes, no controllers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.kubernetes.processes import Processes, free_ports, new_token, processes, write_key
from tests.wait import until

START_SECONDS = 120
REQUEST_SECONDS = 30
APPLY = "application/apply-patch+yaml"
# What admission says, in an error or a warning: the level, then its reasons with details in brackets.
VIOLATION = re.compile(r'violates? PodSecurity "[^"]+": (.*)', re.DOTALL)
WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


class ApiServer:
    """Answers of the server, each as JSON."""

    def __init__(self, address: str, token: str, certificate: Path) -> None:
        self.address = address
        self.certificate = certificate
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.verify = str(certificate)
        self._session.trust_env = False  # a proxy is for what lies beyond this machine

    def ready(self) -> bool:
        try:
            return bool(self.send("GET", "/readyz").ok)
        except (requests.ConnectionError, OSError):
            return False  # not listening yet, or the certificate is not written yet

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        dry_run: bool = False,
        parameters: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Any:
        return self._session.request(
            method,
            f"{self.address}{path}",
            json=body,
            params={**({"dryRun": "All"} if dry_run else {}), **(parameters or {})},
            headers={"Content-Type": content},
            timeout=REQUEST_SECONDS,
        )

    def create(self, path: str, body: Any) -> None:
        answer = self.send("POST", path, body)
        assert answer.status_code == 201, answer.text

    def get(self, path: str) -> Any:
        answer = self.send("GET", path)
        assert answer.ok, f"GET {path}: {answer.text}"
        return answer.json()

    def items(self, path: str) -> list[Any]:
        """What is in a list, such as `/api/v1/pods`."""
        found: list[Any] = self.get(path)["items"]
        return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """The server and its store; everything that they write is in the folder."""
    with processes(folder) as programs:
        token = new_token()
        # A controller, which is not here, would make the account that every pod is given.
        yield start(
            programs,
            {"tester,1,system:masters": token},
            "--disable-admission-plugins=ServiceAccount",
        )


def start(programs: Processes, users: Mapping[str, str], *options: str) -> ApiServer:
    """Starts both programs and waits until the server is ready.

    `users`: the token by the user, as `name,id,group`; the first one's is that of the answer.
    """
    folder = programs.folder
    lines = [f"{token},{user}\n" for user, token in users.items()]
    (folder / "tokens.csv").write_text("".join(lines))
    write_key(folder / "accounts.key")
    client, peer, secure = free_ports(3)
    programs.start(
        "etcd",
        *("--data-dir", str(folder / "store")),
        *("--listen-client-urls", f"http://127.0.0.1:{client}"),
        *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
        *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync",  # what it holds is thrown away
    )
    programs.start(
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{client}",
        *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={secure}"),
        *(f"--cert-dir={folder}", f"--token-auth-file={folder / 'tokens.csv'}"),
        *("--authorization-mode=RBAC", "--service-cluster-ip-range=172.20.0.0/16"),
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--endpoint-reconciler-type=none",  # pods cannot reach loopback, so it is nobody's endpoint
        "--allow-privileged",  # else validation refuses such a pod before admission sees it
        *options,
    )
    api = ApiServer(
        f"https://127.0.0.1:{secure}", next(iter(users.values())), folder / "apiserver.crt"
    )

    def ready() -> bool:
        if programs.ended():
            pytest.fail(f"{' and '.join(programs.ended())} ended:\n{programs.logs()}")
        return api.ready()

    try:
        until(ready, "the API server is ready", START_SECONDS)
    except AssertionError as error:
        pytest.fail(f"{error}:\n{programs.logs()}")
    return api


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
