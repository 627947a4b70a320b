"""Traefik as the gateway's engine: a file for the process, and one for the routes."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from strata.components.gateways.arguments import (
    HTTP_PORT,
    HTTPS_PORT,
    PROBE_PORT,
    STRICT_TRANSPORT_SECONDS,
    GatewayArgs,
    Route,
    are_names_known,
    certificate_files,
    inside,
    known_names,
    links,
)
from strata.components.gateways.template import fill
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
)
from strata.config import Acme, PlatformName
from strata.model import (
    TMP,
    Alert,
    Endpoint,
    File,
    HttpProbe,
    Kind,
    Listen,
    ListenAddress,
    MemoryMib,
    Monitoring,
    Panel,
    Port,
    Probe,
    Service,
    Text,
    Unit,
    Volume,
    Zone,
)
from strata.model.text import Part

METRICS_PORT = 8082
CONFIGURATION_FILE = f"{FOLDER}/traefik.yml"
ROUTES_FILE = f"{FOLDER}/routes.json"
AUTHORITY_FILE = f"{FOLDER}/acme-authority.pem"
CERTIFICATES_FOLDER = "/var/lib/traefik"
"""The account and the certificates of ACME, with their keys."""
TEMPLATE = Path(__file__).with_name("traefik.yml")

PING = "/ping"
CONNECT_SECONDS = 3
IDLE_SECONDS = 30
STOP_SECONDS = 9
"""Less than the time after which Docker and Kubernetes kill the process."""
REQUEST_SECONDS = 60
"""For a whole request with its body: Traefik's default."""

# Mozilla's intermediate configuration 5.7, without DHE.
CIPHERS = tuple(
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
    for key in ("ECDSA", "RSA")
)

# Before every route. A route's priority is the length of its path: the longest wins.
OTHER_NAME, OTHER_SITE = 100_002, 100_001

# Traefik rejects with a status only addresses that aren't in a list.
NOBODY = "255.255.255.255/32"

# A declared body within a route's limit, or a request that has none, passes at once. Traefik counts the
# rest, and buffers the request and its response for it.
NO_BODY = (
    "!HeaderRegexp(`Content-Length`, `.`) && (Method(`GET`) || Method(`HEAD`) || Method(`OPTIONS`))"
)

UNOBSERVED = """\
    observability:
      accessLogs: false
      metrics: false
      tracing: false
"""
PUBLIC = f"""\
    asDefault: true
    transport:
      respondingTimeouts:
        readTimeout: {REQUEST_SECONDS}s
        idleTimeout: {IDLE_SECONDS}s
      lifeCycle:
        graceTimeOut: {STOP_SECONDS}s
    http:
      middlewares:
        - headers@file
"""

OWN_ENTRY_POINTS = 'entrypoint=~"https?[0-9]+"'
PANELS = (
    Panel(
        title="Requests",
        expressions={
            "{{code}}": "sum by (code)"
            f' (rate(traefik_entrypoint_requests_total{{service="$service",{OWN_ENTRY_POINTS}}}[5m]))'
        },
        unit=Unit.PER_SECOND,
    ),
    Panel(
        title="Duration, 95th percentile",
        expressions={
            "{{entrypoint}}": "histogram_quantile(0.95, sum by (entrypoint, le)"
            ' (rate(traefik_entrypoint_request_duration_seconds_bucket{service="$service",'
            f"{OWN_ENTRY_POINTS}}}[5m])))"
        },
        unit=Unit.SECONDS,
    ),
    Panel(
        title="Connections",
        expressions={
            "open": f'sum(traefik_open_connections{{service="$service",{OWN_ENTRY_POINTS}}})'
        },
    ),
)


def certificate_missing(domain: str) -> Alert:
    """Traefik renews a certificate 30 days before it expires, and tries that again every day. It tries
    the first one only when it starts."""
    return Alert(
        name="GatewayCertificateMissing",
        # The later one, if a certificate was renewed; 0 before the first.
        expression=f'max by (service) (traefik_tls_certs_not_after{{service="$service",sans="{domain}"}}'
        ' or 0 * traefik_config_last_reload_success{service="$service"}) - time() < 14 * 86400',
        summary=f"the ACME server didn't certify {domain}, or its certificate expires within 14 days",
        for_seconds=300,
    )


def describe(name: str, args: GatewayArgs) -> Service:
    """The service of a gateway."""
    settings = args.stack.settings
    acme, domain = _acme(args), settings.domain
    authority = acme.authority if acme else None
    return Service(
        name=name,
        image="traefik",
        zone=Zone.FRONTEND,
        kind=Kind.GATEWAY,
        resources=args.resources,
        memory_mib_minimum=96,
        profiles=args.profiles,
        command=(f"--configFile={CONFIGURATION_FILE}",),
        environment={"GOMEMLIMIT": (MemoryMib(share=0.8), "MiB")},
        # To the ACME server.
        egress=acme is not None,
        ports=(
            Port(name="http", number=HTTP_PORT, published=args.http),
            Port(name="https", number=HTTPS_PORT, published=args.https),
            Port(name="probe", number=PROBE_PORT),
            Port(name="metrics", number=METRICS_PORT),
        ),
        links=(*links(args), *(each.without_waiting() for each in args.traces.values())),
        probe=Probe(check=HttpProbe(port=PROBE_PORT, path=PING)),
        # Buffered bodies.
        tmpfs=(TMP,),
        volumes=(Volume(name="certificates", path=CERTIFICATES_FOLDER, size_gib=1),)
        if acme
        else (),
        files=(
            File(path=CONFIGURATION_FILE, content=_configuration(name, args)),
            File(path=ROUTES_FILE, content=json.dumps(_routes(name, args), indent=1) + "\n"),
            *certificate_files(name, args),
            *([File(path=AUTHORITY_FILE, content=authority)] if authority else []),
        ),
        monitoring=Monitoring(
            port="metrics",
            alerts=(certificate_missing(domain),) if acme and domain else (),
            panels=PANELS,
        ),
    )


def _acme(args: GatewayArgs) -> Acme | None:
    settings = args.stack.settings
    # Elsewhere it is an error of its own.
    return settings.gateway.acme if settings.platform is PlatformName.DOCKER else None


def _configuration(name: str, args: GatewayArgs) -> Text:
    acme = _acme(args)
    certified = args.stack.settings.domain if acme else None
    values: dict[str, Iterable[Part]] = {
        "listen_http": [_listen("http", HTTP_PORT, PUBLIC)],
        "listen_https": [_listen("https", HTTPS_PORT, PUBLIC + _tls(certified))],
        "listen_probe": [_listen("probe", PROBE_PORT, UNOBSERVED)],
        "metrics_address": [ListenAddress("metrics"), f":{METRICS_PORT}"],
        "unobserved": [UNOBSERVED],
        "tracing": [_tracing(name, endpoint) for endpoint in args.traces.values()],
        "certificates": [_resolver(acme)] if acme else [],
        "routes": [ROUTES_FILE],
    }
    return fill(TEMPLATE, values)


def _listen(port: str, number: int, options: str) -> Listen:
    """An entry point for each address, such as `http1`: Traefik's have one address each."""
    entry_point = f'  {port}{{index}}:\n    address: "{{address}}:{number}"\n{options}'
    return Listen(port, template=entry_point, separator="")


def _tls(certified: str | None) -> str:
    if certified is None:
        return "      tls: {{}}\n"
    return f"""\
      tls:
        certResolver: acme
        domains:
          - main: {certified}
"""


def _tracing(name: str, endpoint: Endpoint) -> str:
    return f"""\
tracing:
  serviceName: {name}
  otlp:
    http:
      endpoint: {endpoint.url}/v1/traces
"""


def _resolver(acme: Acme) -> str:
    """The client of the ACME server. TLS-ALPN-01 needs only the port of HTTPS."""
    authority = f"      caCertificates:\n        - {AUTHORITY_FILE}\n" if acme.authority else ""
    return f"""\
certificatesResolvers:
  acme:
    acme:
      email: {json.dumps(acme.email)}
      caServer: {json.dumps(acme.server)}
{authority}\
      storage: {CERTIFICATES_FOLDER}/acme.json
      keyType: EC256
      tlsChallenge: {{}}
"""


def _routes(name: str, args: GatewayArgs) -> dict[str, Any]:
    """The dynamic configuration. Routers without entry points are those of HTTP and HTTPS."""
    routers: dict[str, Any] = {
        "ping": {"entryPoints": ["probe1"], "rule": f"Path(`{PING}`)", "service": "ping@internal"},
        "metrics": {
            "entryPoints": ["metrics"],
            "rule": "Path(`/metrics`)",
            "service": "prometheus@internal",
        },
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
        "no-upgrade": {"headers": {"customRequestHeaders": {"Upgrade": ""}}},
        "add-slash": {
            "redirectRegex": {
                "regex": r"^([^?]*[^/?])(\?.*)?$",
                "replacement": "${1}/${2}",
                "permanent": True,
            }
        },
    }
    for status in (403, 421):
        middlewares[f"reject-{status}"] = {
            "ipAllowList": {"sourceRange": [NOBODY], "rejectStatusCode": status}
        }
    services: dict[str, Any] = {}
    transports: dict[str, Any] = {}
    for index, route in enumerate(args.routes):
        routers |= _routers(index, route)
        middlewares[f"rate{index}"] = {
            "rateLimit": {"average": route.requests_per_second, "burst": route.burst + 1}
        }
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


def _routers(index: int, route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    """The routers of a route: the first has its rate limit, and those below it share it."""
    path = route.path.rstrip("/")
    exact = f"Path(`{route.exact}`)" if route.exact else None
    below = f"PathPrefix(`{route.below}`)" if route.below else None
    yield (
        route.path,
        {
            "rule": " || ".join(filter(None, (exact, below))),
            "priority": len(path) + 1,
            "middlewares": [f"rate{index}", *([] if route.websocket else ["no-upgrade"])],
        },
    )
    declared = f"HeaderRegexp(`Content-Length`, `^({up_to(_bytes(route))})$`)"
    yield (
        f"{route.path} direct",
        {
            "parentRefs": [route.path],
            "rule": f"{declared} || ({NO_BODY})",
            "priority": 2,
            "service": route.path,
        },
    )
    yield (
        f"{route.path} counted",
        {
            "parentRefs": [route.path],
            "rule": "PathPrefix(`/`)",
            "priority": 1,
            "middlewares": [f"body{index}"],
            "service": route.path,
        },
    )
    if exact is None:
        redirected = _rejected(f"Path(`{path}`)", len(path) + 1, "add-slash")
        yield f"{path} redirected", redirected


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


def _rejected(rule: str, priority: int, middleware: str) -> dict[str, Any]:
    """A router whose middleware responds to every request."""
    return {
        "rule": rule,
        "priority": priority,
        "middlewares": [middleware],
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
    headers: dict[str, Any] = {"contentTypeNosniff": True}
    if args.stack.settings.domain is not None:
        headers |= {"stsSeconds": STRICT_TRANSPORT_SECONDS, "forceSTSHeader": True}
    return headers
