"""What a gateway does, whatever its engine."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from strata.components.mutual_tls import CERTIFICATE_FILE, PRIVATE_KEY_FILE, tls_files
from strata.config import PlatformName
from strata.model import Endpoint, File, Port, Resources, certificate, private_key
from strata.stack import Stack

HTTP_PORT = 8080
HTTPS_PORT = 8443
PROBE_PORT = 8081
EVERYTHING = "/*"
"""The path of a route for whatever no other route matches."""
STRICT_TRANSPORT_SECONDS = 365 * 24 * 3600
"""With a domain. A browser ignores it without TLS."""


class Credential(StrEnum):
    """How a request identifies its sender."""

    KEY = "key"
    """An API key of `strata:gateway.clients`."""
    LOGIN = "login"
    """A login by `strata:gateway.oidc`."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Requests to `path` go to `endpoint`.

    `/search` matches itself and everything below `/search/`; `/assets/` matches only what is below
    it; `/` matches only the root page, and `/*` whatever no other route matches. Each client is
    limited to `requests_per_second`, with `burst` more at once, and to bodies of `body_kib`. A
    response may take `timeout_seconds` (with `websocket`: the time between two messages). With
    `strata:gateway.clients` or `strata:gateway.oidc`, requests need one of `credentials`, unless
    `open_reason` says why anybody may use the route. The limit of a client with a key applies to its name,
    whatever its address.
    """

    path: str
    endpoint: Endpoint
    requests_per_second: int = 100
    burst: int = 200
    body_kib: int = 1024
    timeout_seconds: int = 30
    websocket: bool = False
    credentials: tuple[Credential, ...] = (Credential.KEY, Credential.LOGIN)
    open_reason: str | None = None

    @property
    def exact(self) -> str | None:
        """The one path that it matches; None if it matches only what is below a path."""
        path = self.path.removesuffix("*").rstrip("/")
        return None if path and self.path.endswith("/") else path or "/"

    @property
    def below(self) -> str | None:
        """The start of the other paths that it matches; None for the root page."""
        if self.path == EVERYTHING:
            return "/"
        path = self.path.rstrip("/")
        return f"{path}/" if path else None


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    """The arguments of a `Gateway`. Only `stack` and `routes` are required.

    `http` and `https`: the published ports. A route to a service that the stack's settings leave out has
    no effect. `names`: the host names of the certificate, which the stack's authority issues (output
    `certificateAuthority`). On Docker, and with `strata:domain`, requests to another name than these and
    the domain are rejected (421). So is what a browser sends for a page of another site (403), unless
    `origins` names that site: `https://app.example.com`. `traces`: the `traces` of the observability
    stack, for an engine that sends spans (Traefik). `profiles`: see `strata.model.Workload`.
    """

    stack: Stack
    routes: tuple[Route, ...]
    http: int = 8080
    https: int = 8443
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    origins: tuple[str, ...] = ()
    traces: Mapping[str, Endpoint] = field(default_factory=dict)
    resources: Resources = Resources(memory_mib=128, cpu=0.5)  # noqa: RUF009 - frozen
    profiles: tuple[str, ...] = ()


def known_names(args: GatewayArgs) -> tuple[str, ...]:
    """The names that clients outside of the stack use."""
    domain = args.stack.settings.domain
    return tuple(dict.fromkeys([*certified_names(args), *([domain] if domain else [])]))


def certified_names(args: GatewayArgs) -> tuple[str, ...]:
    """The names of the certificate that the stack's authority issues."""
    address = args.stack.settings.gateway.address
    return (*args.names, *(() if address.is_loopback else (str(address),)))


def published_ports(args: GatewayArgs) -> tuple[Port, ...]:
    """The ports for clients. Keys must not cross a network in plaintext, so only HTTPS leaves the host."""
    address = str(args.stack.settings.gateway.address)
    return (
        Port(name="http", number=HTTP_PORT, published=args.http),
        Port(name="https", number=HTTPS_PORT, published=args.https, address=address),
    )


def are_names_known(args: GatewayArgs) -> bool:
    """Whether requests to another name are rejected. A load balancer without a domain has a name that
    only the cloud knows."""
    settings = args.stack.settings
    return settings.platform is PlatformName.DOCKER or settings.domain is not None


def inside(name: str) -> str:
    """The names of the gateway inside of the stack: a regular expression. There is no top-level domain
    `svc`."""
    return f"^{name}(\\.[a-z0-9-]+\\.svc(\\.cluster\\.local)?)?$"


def links(args: GatewayArgs) -> Iterator[Endpoint]:
    """What every engine connects to."""
    yield from dict.fromkeys(route.endpoint for route in args.routes)


def certificate_files(name: str, args: GatewayArgs) -> tuple[File, ...]:
    """The gateway's certificate and key, and those of a client if a service requires one."""
    names = certified_names(args)
    own = File(path=CERTIFICATE_FILE, content=certificate(name, names))
    if any(each.mutual_tls for each in links(args)):
        return (own, *tls_files(name, client=True))
    return (own, File(path=PRIVATE_KEY_FILE, content=private_key(name, names)))
