"""A registry of images on loopback: of the protocol (OCI distribution 1.1) what an engine pushes and asks by, behind a
login, with repositories that have to be there, as ECR has it."""

import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>blobs/uploads|blobs|manifests)/(?P<name>[^/]*)")


@dataclass
class ImageRegistry:
    """`uploads`: how many blobs were sent to it. `manifests`: by repository and tag or digest."""

    repositories: set[str]
    user: str
    password: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: int = 0
    pushes: int = 0
    host: str = ""


@contextmanager
def serving(registry: ImageRegistry) -> Iterator[ImageRegistry]:
    login = base64.b64encode(f"{registry.user}:{registry.password}".encode()).decode()
    lock = threading.Lock()
    partial: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def handle_any(self) -> None:
            body = self.body()
            with lock:
                self.dispatch(body)

        do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815

        def dispatch(self, body: bytes) -> None:
            if self.headers.get("Authorization") != f"Basic {login}":
                self.answer(401, WWW_Authenticate='Basic realm="test"')
                return
            path, _, query = self.path.partition("?")
            if path.rstrip("/") == "/v2":
                self.answer(200)
                return
            found = PATH.fullmatch(path)
            if found is None:
                self.answer(404)
                return
            repository, kind, name = found["repository"], found["kind"], found["name"]
            asked = kind == "manifests" and self.command != "PUT"
            if not asked and repository not in registry.repositories:
                text = f"The repository with name '{repository}' does not exist"
                self.error(404, "NAME_UNKNOWN", text)
                return
            if kind == "manifests":
                self.manifest(repository, name, body)
            elif kind == "blobs":
                blob = registry.blobs.get(name)
                self.answer(404) if blob is None else self.answer(200, blob)
            elif self.command == "POST":
                upload = str(len(partial))
                partial[upload] = b""
                location = f"/v2/{repository}/blobs/uploads/{upload}"
                self.answer(202, Location=location, Docker_Upload_UUID=upload)
            else:
                partial[name] += body
                if self.command == "PUT":
                    digest = f"sha256:{hashlib.sha256(partial[name]).hexdigest()}"
                    assert digest.replace(":", "%3A") in query
                    registry.blobs[digest] = partial.pop(name)
                    registry.uploads += 1
                    self.answer(201, Docker_Content_Digest=digest, Location=f"/v2/{digest}")
                else:
                    end = str(max(len(partial[name]) - 1, 0))
                    self.answer(202, Location=path, Range=f"0-{end}", Docker_Upload_UUID=name)

        def manifest(self, repository: str, name: str, body: bytes) -> None:
            if self.command == "PUT":
                digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
                stored = (self.headers["Content-Type"], body)
                registry.manifests[repository, name] = registry.manifests[repository, digest] = (
                    stored
                )
                registry.pushes += 1
                self.answer(201, Docker_Content_Digest=digest, Location=path_of(repository, digest))
                return
            kept = registry.manifests.get((repository, name))
            if kept is None:
                self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
                return
            digest = f"sha256:{hashlib.sha256(kept[1]).hexdigest()}"
            self.answer(200, kept[1], Content_Type=kept[0], Docker_Content_Digest=digest)

        def error(self, status: int, code: str, message: str) -> None:
            text = f'{{"errors": [{{"code": "{code}", "message": "{message}"}}]}}'
            self.answer(status, text.encode(), Content_Type="application/json")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
            """Keeps the tests' output quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        registry.host = f"127.0.0.1:{http.server_port}"
        yield registry
        http.shutdown()


def path_of(repository: str, digest: str) -> str:
    return f"/v2/{repository}/manifests/{digest}"
