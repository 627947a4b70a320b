"""Traefik as the gateway's engine: a file for the process, and one for the routes."""

import json
from collections.abc import Iterable
from pathlib import Path

from strata.components.gateways import login
from strata.components.gateways.arguments import (
    HTTP_PORT,
    HTTPS_PORT,
    PROBE_PORT,
    GatewayArgs,
    certificate_files,
    links,
    published_ports,
)
from strata.components.gateways.authentication import (
    CLIENT_HEADER,
    USER_HEADERS,
    described,
    key_files,
)
from strata.components.gateways.template import fill
from strata.components.gateways.traefik_routes import PING, routes
from strata.components.mutual_tls import FOLDER
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

IDLE_SECONDS = 30
STOP_SECONDS = 9
"""Less than the time after which Docker and Kubernetes kill the process."""
REQUEST_SECONDS = 60
"""For a whole request with its body: Traefik's default."""

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
            *published_ports(args),
            Port(name="probe", number=PROBE_PORT),
            Port(name="metrics", number=METRICS_PORT),
        ),
        links=(
            *links(args),
            *login.links(name, args),
            *(each.without_waiting() for each in args.traces.values()),
        ),
        probe=Probe(check=HttpProbe(port=PROBE_PORT, path=PING)),
        # Buffered bodies.
        tmpfs=(TMP,),
        volumes=(Volume(name="certificates", path=CERTIFICATES_FOLDER, size_gib=1),)
        if acme
        else (),
        files=(
            File(path=CONFIGURATION_FILE, content=_configuration(name, args)),
            File(path=ROUTES_FILE, content=routes(name, args)),
            *key_files(args),
            *certificate_files(name, args),
            *([File(path=AUTHORITY_FILE, content=authority)] if authority else []),
        ),
        authentication=described(args),
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
        "client_header": [CLIENT_HEADER],
        "user_header": [USER_HEADERS[0]],
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
