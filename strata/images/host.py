"""Settings that a build takes from this host: certificate authorities, pip, npm and Go settings,
proxies.

They never reach a final image: the files go to the folder `.build` of the context, which only
builder stages copy."""

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
# Where packages are and how to fetch them. Paths of this host (find-links, cache-dir) do not exist
# in a build.
_PIP_SETTINGS = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "timeout",
    "default-timeout",
    "retries",
    "proxy",
)
NPM_REGISTRY = "https://registry.npmjs.org"
# Where Go modules are, and which of them the checksum database doesn't have. A toolchain or a cache
# of this host doesn't exist in a build.
_GO_SETTINGS = ("GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE")


def authorities(environment: Mapping[str, str]) -> bytes | None:
    """The certificate authorities that this host trusts, as PEM; None if there is no file."""
    named = [environment[name] for name in _BUNDLE_VARIABLES if environment.get(name)]
    for candidate in (*named, *_SYSTEM_BUNDLES):
        path = Path(candidate)
        if path.is_file():
            return path.read_bytes()
    return None


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The pip settings of this host's files and environment that apply to a build."""
    parser = configparser.RawConfigParser()
    home = Path(environment.get("HOME", "/"))
    files = [
        "/etc/pip.conf",
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        environment.get("PIP_CONFIG_FILE"),
    ]
    parser.read([str(file) for file in files if file])
    settings: dict[str, str] = {}
    for name in _PIP_SETTINGS:
        for section in ("global", "install"):
            if parser.has_option(section, name):
                settings[name] = parser.get(section, name)
        variable = f"PIP_{name.upper().replace('-', '_')}"
        if environment.get(variable):
            settings[name] = environment[variable]
    return settings


def npm_registry(environment: Mapping[str, str]) -> str:
    """The npm registry of this host's file and environment."""
    home = Path(environment.get("HOME", "/"))
    file = Path(environment.get("NPM_CONFIG_USERCONFIG") or home / ".npmrc")
    values = (
        [line.partition("=") for line in file.read_text().splitlines()] if file.is_file() else []
    )
    named = {name.strip(): value.strip() for name, _, value in values}
    chosen = environment.get("NPM_CONFIG_REGISTRY") or named.get("registry") or NPM_REGISTRY
    return f"{chosen.rstrip('/')}/"


def go_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The Go settings of this host's file (`go env -w`) and environment that apply to a build."""
    home = Path(environment.get("HOME", "/"))
    folder = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    file = Path(environment.get("GOENV") or folder / "go/env")
    values: dict[str, str] = {}
    if file.is_file():
        for line in file.read_text().splitlines():
            name, _, value = line.partition("=")
            values[name] = value
    chosen = {name: environment.get(name) or values.get(name) for name in _GO_SETTINGS}
    return {name: value for name, value in chosen.items() if value}


def build_files(environment: Mapping[str, str] = os.environ) -> dict[str, bytes]:
    """The files of `.build/`: `pip.conf` and `npmrc`, the authorities they name, and `go.env` for
    GOENV."""
    settings = {
        "disable-pip-version-check": "true",
        "root-user-action": "ignore",
        **pip_settings(environment),
    }
    npm = {"registry": npm_registry(environment), "audit": "false", "fund": "false"}
    files: dict[str, bytes] = {}
    bundle = authorities(environment)
    if bundle is not None:
        files[".build/authorities.pem"] = bundle
        settings["cert"] = npm["cafile"] = "/build/authorities.pem"
    text = io.StringIO()
    writer = configparser.RawConfigParser()
    writer["global"] = settings
    writer.write(text)
    files[".build/pip.conf"] = text.getvalue().encode()
    files[".build/npmrc"] = "".join(f"{name}={value}\n" for name, value in npm.items()).encode()
    go = "".join(f"{name}={value}\n" for name, value in go_settings(environment).items())
    files[".build/go.env"] = go.encode()
    return files


def proxies(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Build arguments for a proxy. The builder keeps arguments of these names out of the image and
    its history."""
    arguments: dict[str, str] = {}
    for name in _PROXY_VARIABLES:
        value = environment.get(name) or environment.get(name.lower())
        if value:
            arguments[name] = arguments[name.lower()] = value
    return arguments


def network_mode(environment: Mapping[str, str] = os.environ) -> str | None:
    """`host` if the proxy listens on this host's loopback, which a build's own network can't
    reach."""
    hosts = {urlsplit(value).hostname for value in proxies(environment).values() if "://" in value}
    return "host" if hosts & {"localhost", "127.0.0.1", "::1"} else None
