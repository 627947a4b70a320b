"""Traefik's dynamic configuration: its routers, what they do with requests, and where these go."""

import json
import re
from collections.abc import Iterator
from typing import Any

from strata.components.gateways import login
from strata.components.gateways.arguments import (
    STRICT_TRANSPORT_SECONDS,
    Credential,
    GatewayArgs,
    Route,
    are_names_known,
    inside,
    known_names,
)
from strata.components.gateways.authentication import (
    CHALLENGE,
    CLIENT_HEADER,
    UNSET_HEADERS,
    USER_HEADERS,
    accepted,
    aliases,
    credentials,
    keys,
)
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    PRIVATE_KEY_FILE,
)
from strata.config import PlatformName
from strata.model import Text
from strata.model.text import Part

PING = "/ping"
CONNECT_SECONDS = 3

# Mozilla's intermediate configuration 5.7, without DHE.
CIPHERS = tuple(
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
    for key in ("ECDSA", "RSA")
)

# Before every route. A route's priority is the length of its path: the longest wins.
OTHER_NAME, OTHER_SITE, LOGIN = 100_003, 100_002, 100_001
UNKNOWN_PATH = 1

# Traefik rejects with a status only addresses that aren't in a list.
NOBODY = "255.255.255.255/32"

# A declared body within a route's limit, or a request that has none, passes at once. Traefik counts the
# rest, and buffers the request and its response for it.
NO_BODY = (
    "!HeaderRegexp(`Content-Length`, `.`) && (Method(`GET`) || Method(`HEAD`) || Method(`OPTIONS`))"
)

ANY_PATH = "PathPrefix(`/`)"


def routes(name: str, args: GatewayArgs) -> Text:
    """The file with the dynamic configuration."""
    text = json.dumps(_routes(name, args), indent=1) + "\n"
    clients = args.stack.settings.gateway.clients
    if not clients:
        return text
    # Text and the names of clients take turns.
    marks = f"`key of ({'|'.join(map(re.escape, clients))})`"
    pieces = re.split(marks, text)
    return tuple(
        part
        for index, piece in enumerate(pieces)
        for part in (_either(keys(piece, clients[piece], _sent)) if index % 2 else (piece,))
    )


def _mark(client: str) -> str:
    """Stands for the rule that recognizes the client: a route's path contains no backtick."""
    return f"`key of {client}`"


def _sent(client: str, key: str) -> str:
    """Requests with the key. JSON needs no escapes for it."""
    return " || ".join(f"Header(`Authorization`, `{each}`)" for each in credentials(client, key))


def _either(rules: Iterator[Part]) -> Iterator[Part]:
    for index, rule in enumerate(rules):
        if index:
            yield " || "
        yield rule


def _routes(name: str, args: GatewayArgs) -> dict[str, Any]:
    """The dynamic configuration. Routers without entry points are those of HTTP and HTTPS."""
    routers: dict[str, Any] = {
        "ping": {"entryPoints": ["probe1"], "rule": f"Path(`{PING}`)", "service": "ping@internal"},
        "metrics": {
            "entryPoints": ["metrics"],
            "rule": "Path(`/metrics`)",
            "service": "prometheus@internal",
        },
        "unknown-path": _rejected(ANY_PATH, UNKNOWN_PATH, "reject-404"),
        "other-site": _rejected(_is_of_another_site(args), OTHER_SITE, "reject-403"),
    }
    if are_names_known(args):
        hosts = (
            *(f"Host(`{each}`)" for each in known_names(args)),
            f"HostRegexp(`{inside(name)}`)",
        )
        rule = " && ".join(f"!{each}" for each in hosts)
        routers["other-name"] = _rejected(rule, OTHER_NAME, "reject-421")
    middlewares: dict[str, Any] = {
        "headers": {"headers": _headers(args)},
        "challenge": {"headers": {"customResponseHeaders": {"WWW-Authenticate": CHALLENGE}}},
        "no-upgrade": {"headers": {"customRequestHeaders": {"Upgrade": ""}}},
        "add-slash": {
            "redirectRegex": {
                "regex": r"^([^?]*[^/?])(\?.*)?$",
                "replacement": "${1}/${2}",
                "permanent": True,
            }
        },
    }
    for client in args.stack.settings.gateway.clients:
        named = {CLIENT_HEADER: client, "Authorization": ""}
        middlewares[f"client-{client}"] = {"headers": {"customRequestHeaders": named}}
    for status in (401, 403, 404, 421):
        middlewares[f"reject-{status}"] = {
            "ipAllowList": {"sourceRange": [NOBODY], "rejectStatusCode": status}
        }
    services: dict[str, Any] = {}
    transports: dict[str, Any] = {}
    for asked in login.links(name, args):
        rule = f"PathPrefix(`{login.PREFIX}`)"
        routers["login"] = {"rule": rule, "priority": LOGIN, "service": "login"}
        services["login"] = {"loadBalancer": {"servers": [{"url": asked.url}]}}
        # It redirects a browser to the provider.
        ask = {"address": f"{asked.url}/", "authResponseHeaders": USER_HEADERS}
        middlewares["login"] = {"forwardAuth": ask}
    for index, route in enumerate(args.routes):
        routers |= _routers(index, route, args)
        limit = {"average": route.requests_per_second, "burst": route.burst + 1}
        middlewares[f"rate{index}"] = {"rateLimit": limit}
        for setting, kind, header in (
            (args.stack.settings.gateway.clients, "clients", CLIENT_HEADER),
            (args.stack.settings.gateway.oidc, "users", USER_HEADERS[0]),
        ):
            if setting:
                by_header = {"sourceCriterion": {"requestHeaderName": header}}
                middlewares[f"rate{index}-{kind}"] = {"rateLimit": limit | by_header}
        middlewares[f"body{index}"] = {"buffering": {"maxRequestBodyBytes": _bytes(route)}}
        secured = route.endpoint.mutual_tls
        transport = f"{route.timeout_seconds}s{f'-{route.endpoint.host}' if secured else ''}"
        transports[transport] = {
            **(_identity(route) if secured else {}),
            "forwardingTimeouts": {
                "dialTimeout": f"{CONNECT_SECONDS}s",
                "responseHeaderTimeout": f"{route.timeout_seconds}s",
            },
        }
        services[route.path] = {
            "loadBalancer": {
                "servers": [{"url": route.endpoint.url}],
                "serversTransport": transport,
            }
        }
    return {
        "http": {
            "routers": routers,
            "middlewares": middlewares,
            "services": services,
            "serversTransports": transports,
        },
        "tls": {
            "options": {
                "default": {
                    "minVersion": "VersionTLS12",
                    "cipherSuites": CIPHERS,
                    "disableSessionTickets": True,
                }
            },
            "stores": {
                "default": {
                    "defaultCertificate": {
                        "certFile": CERTIFICATE_FILE,
                        "keyFile": PRIVATE_KEY_FILE,
                    }
                }
            },
        },
    }


def _identity(route: Route) -> dict[str, Any]:
    """How Traefik verifies a service, and proves its own name."""
    return {
        "serverName": route.endpoint.host,
        "rootCAs": [CA_FILE],
        "certificates": [{"certFile": CLIENT_CERTIFICATE_FILE, "keyFile": PRIVATE_KEY_FILE}],
    }


def _routers(index: int, route: Route, args: GatewayArgs) -> Iterator[tuple[str, dict[str, Any]]]:
    """The routers of a route: below the first, those of its clients and users, if it has any. Each has a
    rate limit, which the routers below it share."""
    path = (route.below or "/").rstrip("/")
    exact = f"Path(`{route.exact}`)" if route.exact else None
    below = f"PathPrefix(`{route.below}`)" if route.below else None
    # Above that of unknown paths.
    priority = UNKNOWN_PATH + len(path) + 1
    callers = dict(_caller_routers(index, route, args))
    limit = [] if callers else [f"rate{index}"]
    yield (
        route.path,
        {
            "rule": " || ".join(filter(None, (exact, below))),
            "priority": priority,
            "middlewares": [*limit, *([] if route.websocket else ["no-upgrade"])],
        },
    )
    yield from callers.items()
    if accepted(args, route) == {Credential.KEY}:
        rejected = _rejected(ANY_PATH, 1, "challenge", "reject-401")
        yield f"{route.path} rejected", rejected | {"parentRefs": [route.path]}
    parents = list(callers) or [route.path]
    declared = f"HeaderRegexp(`Content-Length`, `^({up_to(_bytes(route))})$`)"
    yield (
        f"{route.path} direct",
        {
            "parentRefs": parents,
            "rule": f"{declared} || ({NO_BODY})",
            "priority": 2,
            "service": route.path,
        },
    )
    yield (
        f"{route.path} counted",
        {
            "parentRefs": parents,
            "rule": ANY_PATH,
            "priority": 1,
            "middlewares": [f"body{index}"],
            "service": route.path,
        },
    )
    if exact is None:
        yield f"{path} redirected", _rejected(f"Path(`{path}`)", priority, "add-slash")


def _caller_routers(
    index: int, route: Route, args: GatewayArgs
) -> Iterator[tuple[str, dict[str, Any]]]:
    """One for each client, and one for everybody else: who must log in, unless the route is open."""
    clients = args.stack.settings.gateway.clients
    credentials = accepted(args, route)
    for client in clients if not credentials or Credential.KEY in credentials else ():
        yield (
            f"{route.path} client {client}",
            {
                "parentRefs": [route.path],
                "rule": _mark(client),
                "priority": 2,
                "middlewares": [f"client-{client}", f"rate{index}-clients"],
            },
        )
    if Credential.LOGIN in credentials:
        yield (
            f"{route.path} user",
            {
                "parentRefs": [route.path],
                "rule": ANY_PATH,
                "priority": 1,
                "middlewares": ["login", f"rate{index}-users"],
            },
        )
    if clients and not credentials:
        yield (
            f"{route.path} anybody",
            {
                "parentRefs": [route.path],
                "rule": ANY_PATH,
                "priority": 1,
                "middlewares": [f"rate{index}"],
            },
        )


def up_to(limit: int) -> str:
    """A regular expression for the numbers from 0 to `limit`, which is at least 10."""
    digits = str(limit)
    smaller = (
        f"{digits[:index]}[0-{int(digit) - 1}][0-9]{{{len(digits) - index - 1}}}"
        for index, digit in enumerate(digits)
        if digit != "0"
    )
    return "|".join((digits, f"[0-9]{{1,{len(digits) - 1}}}", *smaller))


def _bytes(route: Route) -> int:
    return route.body_kib * 1024


def _rejected(rule: str, priority: int, *middlewares: str) -> dict[str, Any]:
    """A router whose last middleware responds to every request."""
    return {
        "rule": rule,
        "priority": priority,
        "middlewares": list(middlewares),
        "service": "noop@internal",
    }


def _is_of_another_site(args: GatewayArgs) -> str:
    """A browser names the origin of the page that a request comes from, if the request can change
    something or opens a WebSocket. A rule can't compare it with the Host header, so it is compared with
    the addresses of the gateway that are known; most browsers also say whether both are the same."""
    rule = "HeaderRegexp(`Origin`, `.`) && !Header(`Sec-Fetch-Site`, `same-origin`)"
    origins = "|".join(map(re.escape, (*_own_origins(args), *args.origins)))
    return f"{rule} && !HeaderRegexp(`Origin`, `^({origins})$`)" if origins else rule


def _own_origins(args: GatewayArgs) -> Iterator[str]:
    settings = args.stack.settings
    if settings.platform is PlatformName.DOCKER:
        for scheme, number, usual in (("http", args.http, 80), ("https", args.https, 443)):
            port = "" if number == usual else f":{number}"
            yield from (f"{scheme}://{each}{port}" for each in known_names(args))
    if settings.domain is not None:
        yield from (f"{scheme}://{settings.domain}" for scheme in ("http", "https"))


def _headers(args: GatewayArgs) -> dict[str, Any]:
    set_here = (CLIENT_HEADER, *USER_HEADERS, *UNSET_HEADERS, login.REDIRECT_HEADER)
    forged = {alias: "" for header in set_here for alias in aliases(header)}
    headers: dict[str, Any] = {"contentTypeNosniff": True, "customRequestHeaders": forged}
    if args.stack.settings.domain is not None:
        headers |= {"stsSeconds": STRICT_TRANSPORT_SECONDS, "forceSTSHeader": True}
    return headers
