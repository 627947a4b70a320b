"""Endpoints outside of the stack (`strata:observability.remoteWrite`, `loki` and `otlp`). Their
credentials are files."""

import base64
from typing import Any

from strata.components.observability.configuration import SECRETS
from strata.config import Remote
from strata.model import Confidential, Endpoint, File

PASSWORD_FILE = f"{SECRETS}/remote-password"
AUTHORIZATION_FILE = f"{SECRETS}/authorization"


def remote_write(remote: Remote) -> dict[str, Any]:
    """For Prometheus' `remote_write`, with `password_files`."""
    login = {"username": remote.username or ""} | (
        {"password_file": PASSWORD_FILE} if remote.password else {}
    )
    return {"url": remote.url} | ({"basic_auth": login} if _has_login(remote) else {})


def password_files(remote: Remote | None) -> tuple[File, ...]:
    if remote is None or remote.password is None:
        return ()
    content = Confidential(remote.password.get_secret_value())
    return (File(path=PASSWORD_FILE, content=content),)


def exporter(store: Endpoint | Remote, path: str = "") -> dict[str, Any]:
    """For an `otlp_http` exporter of an OpenTelemetry collector, with `authorization_files`."""
    endpoint = {"endpoint": f"{store.url.rstrip('/')}{path}"}
    if isinstance(store, Endpoint) or not _has_login(store):
        return endpoint
    # The collector replaces it by the content of the file.
    return {**endpoint, "headers": {"Authorization": f"${{file:{AUTHORIZATION_FILE}}}"}}


def links(store: Endpoint | Remote) -> tuple[Endpoint, ...]:
    return (store.without_waiting(),) if isinstance(store, Endpoint) else ()


def authorization_files(store: Endpoint | Remote | None) -> tuple[File, ...]:
    """The header of HTTP basic authentication (RFC 7617)."""
    if not isinstance(store, Remote) or not _has_login(store):
        return ()
    password = store.password.get_secret_value() if store.password else ""
    login = base64.b64encode(f"{store.username or ''}:{password}".encode()).decode()
    return (File(path=AUTHORIZATION_FILE, content=Confidential(f"Basic {login}")),)


def _has_login(remote: Remote) -> bool:
    return remote.username is not None or remote.password is not None
