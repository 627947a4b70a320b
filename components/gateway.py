"""Gateway: the entry point of a stack (NGINX)."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pulumi

from strata.components.component import WorkloadComponent
from strata.components.exporter import exporter
from strata.config import PlatformName
from strata.model import (
    TMP,
    Alert,
    Cores,
    Endpoint,
    File,
    HostName,
    HttpProbe,
    Kind,
    Listen,
    Monitoring,
    NameServer,
    Panel,
    Port,
    Probe,
    Problem,
    Resources,
    Service,
    Text,
    Unit,
    Zone,
    certificate,
    private_key,
)
from strata.model.argument_types import check_types
from strata.model.text import Part
from strata.stack import Stack

HTTP_PORT = 8080
HTTPS_PORT = 8443
PROBE_PORT = 8081
STATUS_PORT = 8082
EXPORTER_PORT = 9113
"""The exporter's default."""
CONFIGURATION_FILE = "/run/secrets/nginx.conf"
CERTIFICATE_FILE = "/run/secrets/certificate.pem"
PRIVATE_KEY_FILE = "/run/secrets/private-key.pem"

# A browser ignores it without TLS. One year.
STRICT_TRANSPORT = "    add_header Strict-Transport-Security max-age=31536000 always;\n"

TEMPLATE = Path(__file__).with_name("nginx.conf")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?")
# `@name@`; alone on a line, it stands for any number of lines.
PLACEHOLDER = re.compile(r"(?:^ *)?@(\w+)@\n?", re.MULTILINE)

# NGINX's own error responses, so that all errors have the same form.
ERRORS = {
    403: "this request comes from a page of another site",
    404: "there is nothing at this path",
    413: "the request is larger than this path takes",
    421: "this gateway has another name",
    429: "too many requests, try again later",
    502: "the service does not answer, try again later",
    504: "the service took too long",
}


MONITORING = Monitoring(
    port="metrics",
    alerts=(
        Alert(
            name="GatewayDropsConnections",
            expression='sum by (service) (increase(nginx_connections_accepted{service="$service"}[5m]))'
            ' - sum by (service) (increase(nginx_connections_handled{service="$service"}[5m])) > 0',
            summary="$service closed {{ $value | humanize }} connections, beyond its limit",
            for_seconds=0,
        ),
    ),
    panels=(
        Panel(
            title="Requests",
            expressions={"all": 'sum(rate(nginx_http_requests_total{service="$service"}[5m]))'},
            unit=Unit.PER_SECOND,
        ),
        Panel(
            title="Connections",
            expressions={"open": 'sum(nginx_connections_active{service="$service"})'},
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Route:
    """Requests to `path` go to `endpoint`.

    `/search` matches itself and everything below `/search/`; `/assets/` matches only what is below
    it; `/` matches only the root page. Each client is limited to `requests_per_second`, with `burst`
    more at once, and to bodies of `body_kib`. A response may take `timeout_seconds` (with
    `websocket`: the time between two messages).
    """

    path: str
    endpoint: Endpoint
    requests_per_second: int = 100
    burst: int = 200
    body_kib: int = 1024
    timeout_seconds: int = 30
    websocket: bool = False


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """The arguments of a `Gateway`. Only `stack` and `routes` are required.

    `http` and `https`: the published ports. A route to a service that the stack's settings leave out has
    no effect. `names`: the host names of the certificate, which the stack's authority issues (output
    `certificateAuthority`). On Docker, and with `strata:domain`, requests to another name than these and
    the domain are rejected (421). So is what a browser sends for a page of another site (403), unless
    `origins` names that site: `https://app.example.com`. `profiles`: see `strata.model.Workload`.
    """

    stack: Stack
    routes: tuple[Route, ...]
    http: int = 8080
    https: int = 8443
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    origins: tuple[str, ...] = ()
    resources: Resources = Resources(memory_mib=128, cpu=0.5)  # noqa: RUF009 - frozen
    profiles: tuple[str, ...] = ()


class Gateway(WorkloadComponent):
    """The gateway of a stack: `Gateway("gateway", GatewayArgs(...))`."""

    def __init__(
        self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"service {name}", args)
        excluded = args.stack.composition.excluded
        routes = tuple(each for each in args.routes if each.endpoint.service not in excluded)
        gateway = describe(name, replace(args, routes=routes))
        super().__init__("Gateway", [gateway], args.stack, check(name, args), opts)


def check(name: str, args: GatewayArgs) -> Iterator[Problem]:
    """The errors of the arguments."""
    if not args.routes:
        yield Problem(f"service {name}: routes", "is empty", "add a Route")
    if not args.names:
        yield Problem(f"service {name}: names", "is empty", "set the host names that clients use")
    for path, count in Counter(route.path.rstrip("/") for route in args.routes).items():
        if count > 1:
            yield Problem(
                f"service {name}: routes", f"{path or '/'} is listed {count} times", "list it once"
            )
    for origin in args.origins:
        if ORIGIN.fullmatch(origin) is None:
            yield Problem(
                f"service {name}: origins",
                f"{origin!r} is no origin",
                "write scheme, host and port without a path, such as https://app.example.com",
            )
    for index, route in enumerate(args.routes):
        prefix = f"service {name}: routes[{index}]"
        if not route.path.startswith("/") or set(route.path) & set(" \t\n;{}\"'$\\"):
            yield Problem(
                f"{prefix}.path",
                f"{route.path!r} is not a valid path",
                "start with '/', without blanks, quotes or any of ; { } $ \\",
            )
        for field in ("requests_per_second", "burst", "body_kib", "timeout_seconds"):
            if getattr(route, field) < 1:
                yield Problem(f"{prefix}.{field}", "is less than 1", "use 1 or more")


def describe(name: str, args: GatewayArgs) -> Service:
    """The service of a gateway."""
    return Service(
        name=name,
        image="nginx",
        zone=Zone.FRONTEND,
        kind=Kind.GATEWAY,
        user="101:101",
        resources=args.resources,
        profiles=args.profiles,
        command=("nginx", "-c", CONFIGURATION_FILE, "-g", "daemon off;"),
        ports=(
            Port(name="http", number=HTTP_PORT, published=args.http),
            Port(name="https", number=HTTPS_PORT, published=args.https),
            Port(name="probe", number=PROBE_PORT),
            Port(name="status", number=STATUS_PORT),
        ),
        links=tuple(dict.fromkeys(route.endpoint for route in args.routes)),
        probe=Probe(check=HttpProbe(port=PROBE_PORT, path="/")),
        tmpfs=(TMP,),
        files=(
            File(path=CONFIGURATION_FILE, content=_configuration(name, args)),
            File(path=CERTIFICATE_FILE, content=certificate(name, args.names)),
            File(path=PRIVATE_KEY_FILE, content=private_key(name, args.names)),
        ),
        stop_signal="SIGQUIT",  # Graceful: finishes requests in progress.
        monitoring=MONITORING,
        exporter=exporter(
            (Endpoint(service=name, port="status", number=STATUS_PORT),),
            f"{name}-exporter",
            "nginx-exporter",
            EXPORTER_PORT,
            (f"--nginx.scrape-uri=http://{name}:{STATUS_PORT}/",),
        ),
    )


def _configuration(name: str, args: GatewayArgs) -> Text:
    settings = args.stack.settings
    # A load balancer without a domain has a name that only the cloud knows.
    are_known = settings.platform is PlatformName.DOCKER or settings.domain is not None
    names = dict.fromkeys([*args.names, *([settings.domain] if settings.domain else [])])
    # From inside of the stack. There is no top-level domain `svc`.
    inside = f"'~^{name}(\\.[a-z0-9-]+\\.svc(\\.cluster\\.local)?)?$'"
    limits = "".join(
        f"  limit_req_zone $binary_remote_addr zone=route{index}:1m"
        f" rate={route.requests_per_second}r/s;\n"
        for index, route in enumerate(args.routes)
    )
    error_pages = "".join(
        f"    error_page {status} @{status};\n"
        f"    location @{status} {{ internal; default_type application/json;"
        f" return {status} '{json.dumps({'error': message})}'; }}\n"
        for status, message in ERRORS.items()
    )
    values: dict[str, Iterable[Part]] = {
        "processes": [Cores()],
        "limits": [limits],
        "resolver": [NameServer()],
        "origins": [f"    '~^{re.escape(origin)}\\|' 0;\n" for origin in args.origins],
        "unknown_hosts": ["0" if are_known else "1"],
        "hosts": [f"    {host} 1;\n" for host in (*names, inside)],
        "strict_transport": [STRICT_TRANSPORT if settings.domain else ""],
        "listen_probe": [_listen("probe", str(PROBE_PORT))],
        "listen_status": [_listen("status", str(STATUS_PORT))],
        "listen_http": [_listen("http", str(HTTP_PORT))],
        "listen_https": [_listen("https", f"{HTTPS_PORT} ssl")],
        "certificate": [CERTIFICATE_FILE],
        "private_key": [PRIVATE_KEY_FILE],
        "error_pages": [error_pages],
        "locations": [
            part for index, route in enumerate(args.routes) for part in _locations(index, route)
        ],
    }
    # Text and the names of placeholders take turns.
    pieces = PLACEHOLDER.split(TEMPLATE.read_text())
    texts: Iterable[Iterable[Part]] = (
        values[piece] if index % 2 else [piece] for index, piece in enumerate(pieces)
    )
    return tuple(chain.from_iterable(texts))


def _listen(port: str, arguments: str) -> Listen:
    return Listen(port, template=f"    listen {{address}}:{arguments};\n", separator="")


def _locations(index: int, route: Route) -> Iterator[Part]:
    upgrade = "      set $upgrade_header $http_upgrade;\n" if route.websocket else ""
    path = route.path.rstrip("/")
    matches = [f"= {path or '/'}"] if not route.path.endswith("/") or not path else []
    if path:
        matches.append(f"{path}/")
    for match in matches:
        yield f"""\
    location {match} {{
      limit_req zone=route{index} burst={route.burst} nodelay;
      client_max_body_size {route.body_kib}k;
      proxy_read_timeout {route.timeout_seconds}s;
      proxy_send_timeout {route.timeout_seconds}s;
{upgrade}      set $upstream \
"""
        yield HostName(route.endpoint.service)
        yield f""":{route.endpoint.number};
      proxy_pass http://$upstream;
    }}
"""
