"""Backups in a bucket without a key, as on EKS: the tools get the credentials of the pod, and its permissions
are enough.

A container on the network of this machine is the pod. S3 and EKS's agent are servers of this test.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest

from strata.components import Datastore, DatastoreArgs
from strata.components.engines.postgres import POSTGRES
from strata.components.engines.redis import REDIS
from strata.images.build import build
from strata.images.choose import choose
from strata.images.source import resolve
from strata.stack import Stack
from tests.docker.conftest import put_files
from tests.docker.s3_server import BUCKET, REGION, Store, s3
from tests.planned import PUSHED, Program, plan

HOST = "store.test"
AMAZON = re.compile(rf"s3(\.dualstack)?\.{REGION}\.amazonaws\.com:443")
SESSION = "the/session+token=of-the-pod"
TOKEN = "the-token-of-the-pod"
TOKEN_FILE = "/token"
ENGINES = {"postgres": POSTGRES, "redis": REDIS}
# What `start` and `serve` do, without a server.
SCRIPTS = {
    "postgres": """
        bash /run/secrets/backups prepare
        initdb --no-sync --pgdata="$PGDATA" > /dev/null
        bash /run/secrets/backups enroll
        pgbackrest archive-push "$PGDATA/pg_wal/000000010000000000000001"
        pgbackrest --no-online --type=full backup
        # It deletes the first one.
        pgbackrest --no-online --type=full --repo1-retention-full=1 backup
        bash /run/secrets/backups list
        bash /run/secrets/backups recover /tmp/restored
        cmp "$PGDATA/global/1262" /tmp/restored/global/1262
    """,
    "redis": """
        mkdir /var/lib/backups/{temporary,times}
        bash /run/secrets/backups enroll
        echo kept > /tmp/data
        # It deletes its lock at its end.
        bash /run/secrets/backups repository backup /tmp/data
        test "$(bash /run/secrets/backups repository dump latest /tmp/data)" = kept
    """,
}


class Agent(BaseHTTPRequestHandler):
    """EKS's agent, which gives out the credentials of a pod for its token."""

    def do_GET(self) -> None:
        assert (self.path, self.headers["Authorization"]) == ("/v1/credentials", TOKEN)
        credentials = {
            "AccessKeyId": "ASIAOFTHISTEST",
            "SecretAccessKey": "the/secret+access=key",
            "Token": SESSION,
            "AccountId": "111122223333",
            "Expiration": "2099-01-01T00:00:00Z",
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(credentials).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def agent() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Agent) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/credentials"
        server.shutdown()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    with s3(folder, "127.0.0.1", f"{BUCKET}.{HOST}", "ASIAOFTHISTEST") as store:
        store.session = SESSION
        yield store


def compose(stack: Stack) -> None:
    for name, engine in ENGINES.items():
        Datastore(name, DatastoreArgs(stack=stack, engine=engine))


@pytest.fixture(scope="module")
def program(store: Store) -> Program:
    bucket = {"bucket": BUCKET, "region": REGION, "ranges": ["192.0.2.0/24"]}
    backup = {"s3": {**bucket, "authority": store.authority}}
    changes = {
        "gpu": {"mode": "off"},
        "services": {name: {"backup": backup} for name in ENGINES},
        "imageDigests": {f"{name}-backup": PUSHED[f"{name}-backup"] for name in ENGINES},
    }
    return plan(changes, describe=compose)


@dataclass(frozen=True)
class Pod:
    """The pod of a datastore, as it is planned. `port`: that of the store, which takes the place of S3."""

    environment: Mapping[str, str]
    files: Mapping[str, str]
    statements: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, program: Program, name: str, port: int) -> "Pod":
        objects = {(one["kind"], one["metadata"]["name"]): one for one in program.manifests()}
        pod = objects["StatefulSet", name]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        folders = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        files = {
            f"{folders[volume['name']]}/{file}": content
            for volume in pod["volumes"]
            if "secret" in volume
            for file, content in objects["Secret", volume["secret"]["secretName"]][
                "stringData"
            ].items()
        }
        environment = {one["name"]: one["value"] for one in container["env"]}
        (policy,) = [
            one.inputs["policy"]
            for one in program.of(":RolePolicy")
            if one.name == f"eks-role-{name}-permissions"
        ]

        def moved(texts: Mapping[str, str]) -> dict[str, str]:
            return {key: AMAZON.sub(f"{HOST}:{port}", text) for key, text in texts.items()}

        return cls(moved(environment), moved(files), tuple(json.loads(policy)["Statement"]))


def asked(method: str, target: str, body: bytes) -> Iterator[tuple[str, str, str | None]]:
    """The actions of a request, their resources, and the prefix that is listed."""
    url = urlsplit(target)
    query = parse_qs(url.query, keep_blank_values=True)
    bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    if key:
        action = {"HEAD": "Get", "GET": "Get", "PUT": "Put", "POST": "Put", "DELETE": "Delete"}
        yield f"s3:{action[method]}Object", f"{arn}/{key}", None
        # Whether an object doesn't exist is known to those who may list its name.
        if method in ("GET", "HEAD"):
            yield "s3:ListBucket", arn, key
    elif "delete" in query:
        for each in ElementTree.fromstring(body).iter():  # noqa: S314 - pgBackRest's own
            if each.tag.endswith("Key"):
                yield "s3:DeleteObject", f"{arn}/{each.text}", None
    else:
        # restic takes a bucket for an existing one if it may not ask.
        (prefix,) = query.get("prefix", [""])
        yield "s3:ListBucket", arn, prefix


def is_allowed(
    statements: tuple[Mapping[str, Any], ...], action: str, resource: str, prefix: str | None
) -> bool:
    """Whether IAM would allow it, as far as these statements go."""
    return any(
        action in one["Action"]
        and any(fnmatchcase(resource, pattern) for pattern in one["Resource"])
        and (
            "Condition" not in one
            or fnmatchcase(prefix or "", one["Condition"]["StringLike"]["s3:prefix"])
        )
        for one in statements
    )


@pytest.mark.parametrize("name", ENGINES)
def test_the_role_of_the_pod_is_enough(
    engine: Any, program: Program, store: Store, agent: str, name: str
) -> None:
    source = choose()[0]
    build(engine, [f"{name}-backup"], source, lambda _name, _state: None)
    pod = Pod.of(program, name, urlsplit(store.endpoint).port or 443)
    used: set[str] = set()

    def allows(*request: Any) -> bool:
        actions = tuple(asked(*request))
        allowed = all(is_allowed(pod.statements, *each) for each in actions)
        used.update(action for action, _, _ in actions if allowed)
        return allowed

    store.allows = allows
    container = engine.containers.create(
        resolve(f"{name}-backup", source),
        ["timeout", "60", "bash", "-euc", SCRIPTS[name]],
        network_mode="host",
        extra_hosts={f"{BUCKET}.{HOST}": "127.0.0.1"},
        environment={
            **pod.environment,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": TOKEN_FILE,
        },
    )
    try:
        put_files(container, {**pod.files, TOKEN_FILE: TOKEN})
        container.start()
        status = container.wait()["StatusCode"]
        assert status == 0, container.logs().decode()
    finally:
        container.remove(force=True, v=True)
    assert used == {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
