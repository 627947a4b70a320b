"""Logins at a gateway: OAuth2 Proxy, which the engine asks about each request."""

from collections.abc import Iterator

from strata.components.gateways.arguments import GatewayArgs
from strata.components.mutual_tls import FOLDER
from strata.config import Oidc
from strata.model import (
    Endpoint,
    ExternalSecret,
    File,
    HttpProbe,
    Kind,
    ListenAddress,
    MemoryMib,
    Monitoring,
    Port,
    Probe,
    Resources,
    Secret,
    Service,
    Zone,
)

PREFIX = "/oauth2/"
"""The paths of the gateway that are for logins: `start`, `callback`, `sign_out`."""
PORT = 4180
METRICS_PORT = 44180
"""The defaults of OAuth2 Proxy."""
COOKIE = "__Host-login"
"""A browser accepts this prefix only by TLS, and for this host alone."""
REDIRECT_HEADER = "X-Auth-Request-Redirect"
"""Where a browser returns to. Only the engine says it."""
CLIENT_SECRET_FILE = f"{FOLDER}/client-secret"
COOKIE_SECRET_FILE = f"{FOLDER}/cookie-secret"
AUTHORITY_FILE = f"{FOLDER}/provider.pem"


def login_of(name: str) -> str:
    """The name of the service that logs users in at a gateway."""
    return f"{name}-login"


def links(name: str, args: GatewayArgs) -> Iterator[Endpoint]:
    """The link to the service that the gateway asks. If it is unavailable, the gateway serves its other clients."""
    if args.stack.settings.gateway.oidc:
        yield Endpoint(service=login_of(name), port="http", number=PORT).without_waiting()


def describe(name: str, args: GatewayArgs, oidc: Oidc) -> Service:
    """The service that logs users in. It keeps nothing: a login is in the encrypted cookie, which the secret
    of the owner NAME-login opens."""
    secret = Secret(login_of(name))
    authority = oidc.authority
    return Service(
        name=login_of(name),
        image="oauth2-proxy",
        zone=Zone.FRONTEND,
        kind=Kind.GATEWAY,
        resources=Resources(memory_mib=64, cpu=0.5),
        profiles=args.profiles,
        command=(
            ("--http-address=", ListenAddress("http"), f":{PORT}"),
            ("--metrics-address=", ListenAddress("metrics"), f":{METRICS_PORT}"),
            *_options(oidc),
        ),
        environment={
            "GOMEMLIMIT": (MemoryMib(share=0.8), "MiB"),
            "LISTEN_ADDRESS": ListenAddress("http"),
        },
        # To the provider.
        egress=True,
        ports=(Port(name="http", number=PORT), Port(name="metrics", number=METRICS_PORT)),
        probe=Probe(check=HttpProbe(port=PORT, path="/ping", address="$LISTEN_ADDRESS")),
        files=(
            File(path=CLIENT_SECRET_FILE, content=ExternalSecret(oidc.client_secret)),
            # 32 bytes in Base64, without padding.
            File(path=COOKIE_SECRET_FILE, content=secret),
            *([File(path=AUTHORITY_FILE, content=authority)] if authority else []),
        ),
        monitoring=Monitoring(port="metrics"),
    )


def _options(oidc: Oidc) -> Iterator[str]:
    yield "--provider=oidc"
    yield f"--oidc-issuer-url={oidc.issuer}"
    yield f"--client-id={oidc.client_id}"
    yield f"--client-secret-file={CLIENT_SECRET_FILE}"
    yield f"--cookie-secret-file={COOKIE_SECRET_FILE}"
    if oidc.authority:
        yield f"--provider-ca-file={AUTHORITY_FILE}"
    yield "--code-challenge-method=S256"
    yield "--insecure-oidc-skip-nonce=false"
    yield f"--scope={' '.join(oidc.scopes)}"
    for domain in oidc.email_domains or ("*",):
        yield f"--email-domain={domain}"
    for group in oidc.groups:
        yield f"--allowed-group={group}"
    yield f"--cookie-name={COOKIE}"
    yield f"--cookie-expire={oidc.hours}h"
    yield "--cookie-samesite=lax"
    # Without the provider's tokens, the cookie is small, and services can't get at them.
    yield "--session-cookie-minimal=true"
    yield "--set-xauthrequest=true"
    # The engine says which URL a browser asked for, and removes what clients say.
    yield "--reverse-proxy=true"
    yield "--skip-provider-button=true"
    # For an engine that asks at the path / (Traefik); 202 means that the user is logged in.
    yield "--upstream=static://202"
    # The gateway logs requests.
    yield "--request-logging=false"
    yield "--silence-ping-logging=true"
