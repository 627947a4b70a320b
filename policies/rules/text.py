"""What rules of several platforms ask of texts: image references, names of secrets, host paths."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from itertools import pairwise

LOCAL_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
PINNED_REFERENCE = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
CREDENTIALS_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@")
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

SECRET_WORDS = frozenset(
    {"PASSWORD", "PASSWD", "PASSPHRASE", "PASS", "SECRET", "TOKEN", "APIKEY", "CREDENTIAL"}
    | {"CREDENTIALS", "SECRETS", "PASSWORDS"}
)
# `KEY` alone is too common (a sort key, a cache key): it counts after one of these.
SECRET_KEY_WORDS = frozenset({"API", "PRIVATE", "ACCESS", "ENCRYPTION", "SIGNING", "MASTER", "JWT"})

OFFICIAL_IMAGES = "docker.io/library"

DATASTORE_IMAGES = [
    "postgres",
    "postgresql",
    "pgvector",
    "timescaledb",
    "redis",
    "valkey",
    "rabbitmq",
    "mysql",
    "mariadb",
    "mongo",
    "mongodb",
    "memcached",
    "cassandra",
    "elasticsearch",
    "opensearch",
    "clickhouse",
    "questdb",
    "memgraph",
    "neo4j",
    "eventstore",
    "etcd",
    "consul",
    "influxdb",
    "qdrant",
    "milvus",
    "weaviate",
    "minio",
    "kafka",
    "nats",
    "couchdb",
    "cockroach",
]


def is_pinned(image: str) -> bool:
    """Whether the reference can only ever mean one image: a digest, or a local image's own id."""
    return bool(LOCAL_IMAGE_ID.fullmatch(image) or PINNED_REFERENCE.fullmatch(image))


def full_image_name(image: str) -> str:
    """A reference without tag and digest, and with the registry that Docker would fill in."""
    name = image.split("@", 1)[0]
    folder, _, last = name.rpartition("/")
    name = f"{folder}/{last.split(':', 1)[0]}" if folder else last.split(":", 1)[0]
    first, slash, _ = name.partition("/")
    if not slash:
        return f"{OFFICIAL_IMAGES}/{name}"
    if "." not in first and ":" not in first and first != "localhost":
        return f"docker.io/{name}"
    return name


def comes_from(image: str, allowed: Iterable[str]) -> bool:
    """Whether an image lies in one of the allowed registries or folders of a registry."""
    name = full_image_name(image)
    return any(name.startswith(f"{prefix.rstrip('/')}/") for prefix in allowed)


def is_datastore_image(image: str, names: Iterable[str]) -> bool:
    """Whether the image is named like a datastore: its last part, with or without a suffix."""
    last = full_image_name(image).rsplit("/", 1)[-1].lower()
    return any(last == name or last.startswith(f"{name}-") for name in names)


def is_secret_name(name: str, allowed: Iterable[str] = ()) -> bool:
    """Whether an environment variable's name says that it holds a secret."""
    if name in set(allowed):
        return False
    words = [word.upper() for word in WORD.findall(name)]
    if any(word in SECRET_WORDS for word in words):
        return True
    pairs = pairwise(words)
    return any(first in SECRET_KEY_WORDS and second in {"KEY", "KEYS"} for first, second in pairs)


def host_path(path: str) -> str:
    """A host path without ``.``, ``..`` and doubled slashes; ``/var/run`` is ``/run``."""
    clean = posixpath.normpath("/" + path.lstrip("/")) if path.startswith("/") else path
    if clean == "/var/run" or clean.startswith("/var/run/"):
        return clean.removeprefix("/var")
    return clean


def is_within(path: str, folder: str) -> bool:
    """Whether a clean path is the folder, or lies in it."""
    return path == folder or folder == "/" or path.startswith(f"{folder}/")


RUNTIME_SOCKETS = (
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/podman/podman.sock",
    "/run/cri-dockerd.sock",
)


def reaches_runtime_socket(path: str) -> bool:
    """Whether a clean host path is a container runtime's socket, or a folder that holds one."""
    if posixpath.basename(path) in {posixpath.basename(socket) for socket in RUNTIME_SOCKETS}:
        return True
    return any(is_within(socket, path) for socket in RUNTIME_SOCKETS)


def touched_folder(path: str, folders: Iterable[str]) -> str:
    """The first of the folders that mounting ``path`` would expose, or an empty string.

    A path exposes a folder that it lies in and also every folder that lies in it: ``/var`` holds
    ``/var/lib/docker``. The root folder counts only when it is mounted itself.
    """
    for folder in folders:
        if folder == "/":
            if path == "/":
                return folder
        elif is_within(path, folder) or is_within(folder, path):
            return folder
    return ""
