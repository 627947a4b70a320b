"""What a build takes from this host: certificate authorities, pip settings, proxies. Never more
than a build needs, and never into a final image: the files go to the folder `.build` of the
context, which only builder stages copy."""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

_BUNDLE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
# What says where packages are and how patiently to fetch them. Paths of this host (find-links,
# cache-dir) mean nothing in a build, so they are left out.
_PIP_SETTINGS = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "timeout",
    "default-timeout",
    "retries",
    "proxy",
)


def authorities(environment: Mapping[str, str]) -> bytes | None:
    """The certificate authorities that this host trusts, as PEM; None where none can be read."""
    named = [environment[name] for name in _BUNDLE_VARIABLES if environment.get(name)]
    for candidate in (*named, *_SYSTEM_BUNDLES):
        path = Path(candidate)
        if path.is_file():
            return path.read_bytes()
    return None


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The pip settings of this host's files and environment that hold in a build too."""
    parser = configparser.RawConfigParser()
    home = Path(environment.get("HOME", "/"))
    files = [
        "/etc/pip.conf",
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        environment.get("PIP_CONFIG_FILE"),
    ]
    parser.read([str(file) for file in files if file])
    found: dict[str, str] = {}
    for name in _PIP_SETTINGS:
        for section in ("global", "install"):
            if parser.has_option(section, name):
                found[name] = parser.get(section, name)
        variable = f"PIP_{name.upper().replace('-', '_')}"
        if environment.get(variable):
            found[name] = environment[variable]
    return found


def build_files(environment: Mapping[str, str] = os.environ) -> dict[str, bytes]:
    """The files of `.build/`: `pip.conf`, and the authorities it names."""
    settings = {
        "disable-pip-version-check": "true",
        "root-user-action": "ignore",
        **pip_settings(environment),
    }
    files: dict[str, bytes] = {}
    bundle = authorities(environment)
    if bundle is not None:
        files[".build/authorities.pem"] = bundle
        settings["cert"] = "/build/authorities.pem"
    text = io.StringIO()
    writer = configparser.RawConfigParser()
    writer["global"] = settings
    writer.write(text)
    files[".build/pip.conf"] = text.getvalue().encode()
    return files


def proxies(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build arguments for a proxy. These names are the builder's own: it keeps them out of the
    image and its history."""
    found: dict[str, str] = {}
    for name in _PROXY_VARIABLES:
        value = environment.get(name) or environment.get(name.lower())
        if value:
            found[name] = found[name.lower()] = value
    return found


def network_mode(environment: Mapping[str, str] = os.environ) -> str | None:
    """`host` where the proxy listens on this host's loopback, which a build's own network cannot
    reach."""
    hosts = {urlsplit(value).hostname for value in proxies(environment).values() if "://" in value}
    return "host" if hosts & {"localhost", "127.0.0.1", "::1"} else None
