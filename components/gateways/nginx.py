"""NGINX as the gateway's engine."""

import json
import re
from collections.abc import Iterable, Iterator, Set
from itertools import chain
from pathlib import Path

from strata.components.gateways import login, nginx_login
from strata.components.gateways.arguments import (
    HTTP_PORT,
    HTTPS_PORT,
    PROBE_PORT,
    STRICT_TRANSPORT_SECONDS,
    Credential,
    GatewayArgs,
    Route,
    are_names_known,
    certificate_files,
    inside,
    known_names,
    links,
    published_ports,
)
from strata.components.gateways.authentication import (
    CLIENT_HEADER,
    accepted,
    credentials,
    described,
    key_files,
    keys,
)
from strata.components.gateways.template import fill
from strata.components.mutual_tls import (
    CA_FILE,
    CERTIFICATE_FILE,
    CLIENT_CERTIFICATE_FILE,
    FOLDER,
    PRIVATE_KEY_FILE,
)
from strata.components.observability.panels import REQUESTS
from strata.model import (
    TMP,
    Alert,
    Cores,
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
    Service,
    Text,
    Zone,
)
from strata.model.text import Part

METRICS_PORT = 8082
CONFIGURATION_FILE = f"{FOLDER}/nginx.conf"
CLIENTS_FILE = f"{FOLDER}/clients.conf"
"""The keys of clients, apart from the rest, which isn't secret."""
METRICS_FILE = f"{FOLDER}/metrics.js"
TEMPLATE = Path(__file__).with_name("nginx.conf")
METRICS = Path(__file__).with_name("metrics.js")

UNKNOWN_PATHS = "    location / { return 404; }\n"
STRICT_TRANSPORT = (
    f"    add_header Strict-Transport-Security max-age={STRICT_TRANSPORT_SECONDS} always;\n"
)

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
        *REQUESTS,
        Panel(
            title="Connections",
            expressions={"open": 'sum(nginx_connections_active{service="$service"})'},
        ),
    ),
)


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
            *published_ports(args),
            Port(name="probe", number=PROBE_PORT),
            Port(name="metrics", number=METRICS_PORT),
        ),
        links=(*links(args), *login.links(name, args)),
        probe=Probe(check=HttpProbe(port=PROBE_PORT, path="/")),
        tmpfs=(TMP,),
        files=(
            File(path=CONFIGURATION_FILE, content=_configuration(name, args)),
            File(path=METRICS_FILE, content=METRICS.read_text()),
            *(
                [File(path=CLIENTS_FILE, content=_clients(args))]
                if args.stack.settings.gateway.clients
                else []
            ),
            *key_files(args),
            *certificate_files(name, args),
        ),
        authentication=described(args),
        stop_signal="SIGQUIT",  # Graceful: finishes requests in progress.
        monitoring=MONITORING,
    )


def _configuration(name: str, args: GatewayArgs) -> Text:
    limits = "".join(
        f"  limit_req_zone $counted zone=route{index}:1m rate={route.requests_per_second}r/s;\n"
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
        "clients": [f"    include {CLIENTS_FILE};\n"]
        if args.stack.settings.gateway.clients
        else [],
        "client_header": [CLIENT_HEADER],
        "resolver": [NameServer()],
        "origins": [f"    '~^{re.escape(origin)}\\|' 0;\n" for origin in args.origins],
        "unknown_hosts": ["0" if are_names_known(args) else "1"],
        "hosts": [f"    {host} 1;\n" for host in (*known_names(args), f"'~{inside(name)}'")],
        "strict_transport": [STRICT_TRANSPORT if args.stack.settings.domain else ""],
        "listen_probe": [_listen("probe", str(PROBE_PORT))],
        "metrics": [METRICS_FILE],
        "listen_metrics": [_listen("metrics", str(METRICS_PORT))],
        "listen_http": [_listen("http", str(HTTP_PORT))],
        "listen_https": [_listen("https", f"{HTTPS_PORT} ssl")],
        "certificate": [CERTIFICATE_FILE],
        "private_key": [PRIVATE_KEY_FILE],
        "error_pages": [error_pages],
        "unauthorized": nginx_login.unauthorized(name, args),
        "login_maps": [nginx_login.MAPS],
        "login_locations": nginx_login.locations(name, args),
        "user_headers": [nginx_login.USER_HEADERS],
        "locations": [
            part
            for index, route in enumerate(args.routes)
            for part in _locations(index, route, accepted(args, route))
        ],
        "unknown_paths": [
            "" if any(route.below == "/" for route in args.routes) else UNKNOWN_PATHS
        ],
    }
    return fill(TEMPLATE, values)


def _listen(port: str, arguments: str) -> Listen:
    return Listen(port, template=f"    listen {{address}}:{arguments};\n", separator="")


def _clients(args: GatewayArgs) -> Text:
    """The clients, by what `Authorization` contains."""
    clients = args.stack.settings.gateway.clients
    return tuple(chain.from_iterable(keys(*each, _client) for each in clients.items()))


def _client(name: str, key: str) -> str:
    return "".join(f'"{value}" {name};\n' for value in credentials(name, key))


def _locations(index: int, route: Route, accepted: Set[Credential]) -> Iterator[Part]:
    upgrade = "$http_upgrade" if route.websocket else "''"
    # NGINX verifies the certificate for `proxy_ssl_name`.
    identity = f"""\
      proxy_ssl_certificate {CLIENT_CERTIFICATE_FILE};
      proxy_ssl_certificate_key {PRIVATE_KEY_FILE};
      proxy_ssl_trusted_certificate {CA_FILE};
      proxy_ssl_verify on;
      proxy_ssl_name {route.endpoint.host};
"""
    scheme = "https" if route.endpoint.mutual_tls else "http"
    exact = f"= {route.exact}" if route.exact else None
    for match in filter(None, (exact, route.below)):
        yield f"""\
    location {match} {{
      set $route '{route.path}';
      limit_req zone=route{index} burst={route.burst} nodelay;
      client_max_body_size {route.body_kib}k;
      proxy_read_timeout {route.timeout_seconds}s;
      proxy_send_timeout {route.timeout_seconds}s;
      set $upgrade_header {upgrade};
{nginx_login.authenticated(accepted)}{identity if route.endpoint.mutual_tls else ""}      set $upstream \
"""
        yield HostName(route.endpoint.service)
        yield f""":{route.endpoint.number};
      proxy_pass {scheme}://$upstream;
    }}
"""
