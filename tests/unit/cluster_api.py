"""An API server of Kubernetes that answers with given objects, over plain HTTP on loopback."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.unit.cluster_objects import Json

LISTS = {
    "pods": "Pod",
    "services": "Service",
    "deployments": "Deployment",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "cronjobs": "CronJob",
}


@dataclass
class Api:
    """`objects`: what lists have. `metrics`: those of pods; None if the API has none. `logs`: by pod, what each
    request for its log sends; None at the end of one breaks the connection."""

    objects: list[Json] = field(default_factory=list)
    metrics: list[Json] | None = None
    logs: dict[str, list[list[bytes | None]]] = field(default_factory=dict)
    failure: tuple[int, str] | None = None
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The path and the query of each request."""

    def answer(self, path: str) -> tuple[int, Json]:
        if self.failure:
            return self.failure[0], {"kind": "Status", "message": self.failure[1]}
        *_, namespace, plural = path.split("/")
        if path.startswith("/apis/metrics.k8s.io/"):
            if self.metrics is None:
                return 404, {"kind": "Status", "message": "not found"}
            return 200, {"items": self.metrics if namespace == "shop-prod" else []}
        listed = [
            each
            for each in self.objects
            if (each["kind"], each["metadata"]["namespace"]) == (LISTS[plural], namespace)
        ]
        return 200, {"items": listed}

    def requested(self, end: str) -> list[dict[str, str]]:
        """The queries of the requests whose path ends so."""
        return [query for path, query in self.requests if path.endswith(end)]


@contextlib.contextmanager
def serving(api: Api) -> Iterator[str]:
    """The URL of the server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            api.requests.append((url.path, query))
            if url.path.endswith("/log"):
                self._send_log(url.path.split("/")[-2])
                return
            status, body = api.answer(url.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _send_log(self, pod: str) -> None:
            answers = api.logs.get(pod, [])
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for line in answers.pop(0) if answers else []:
                if line is None:
                    self.close_connection = True
                    return
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def write_kubeconfig(file: Path, server: str, clusters: dict[str, str]) -> None:
    """`clusters`: by context. The first context is the current one."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": each, "cluster": {"server": server}} for each in clusters.values()],
        "users": [{"name": "user", "user": {"token": "token"}}],
        "contexts": [
            {"name": context, "context": {"cluster": cluster, "user": "user"}}
            for context, cluster in clusters.items()
        ],
        "current-context": next(iter(clusters)),
    }
    file.write_text(yaml.safe_dump(content))
