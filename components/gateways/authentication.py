"""Who may use a gateway: clients with API keys, and users who log in."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, product

from strata.components.gateways.arguments import Credential, GatewayArgs, Route
from strata.components.mutual_tls import FOLDER
from strata.config import GatewayClient
from strata.config.settings import API_KEY, API_KEY_FORM
from strata.errors import InvalidStackError, Problem
from strata.model import Confidential, ExternalSecret, File, Secret, Text
from strata.model.secrets import SecretMaterial
from strata.model.text import Part

CLIENT_HEADER = "X-Client-Name"
"""The name of the client, for the service. What a client sends by this name is removed."""
USER_HEADERS = ("X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-User")
"""The user who is logged in, for the service. What a client sends by these names is removed."""
UNSET_HEADERS = ("X-Auth-Request-Preferred-Username", "X-Auth-Request-Access-Token")
"""Further headers of OAuth2 Proxy, which a service might trust. No request has them."""

CHALLENGE = 'Bearer realm="gateway", Basic realm="gateway"'
"""WWW-Authenticate (RFC 9110, 11.6.1). A browser asks for name and password of Basic."""

Form = Callable[[str, str], str]
"""How an engine writes a client's name and one of its keys."""


def _key(client: str, key: str) -> str:
    return key


@dataclass(frozen=True)
class ClientKey:
    """The encoder of a client's key."""

    client: str
    form: Form = _key
    rotations_ago: int = 0

    def __call__(self, material: SecretMaterial) -> str:
        key = material.password_of("gateways", rotations_ago=self.rotations_ago)
        return self.form(self.client, key)


@dataclass(frozen=True)
class ExternalKey:
    """The encoder of a key in `strata:secrets`. A line break at its end doesn't count."""

    client: str
    secret: str
    form: Form

    def __call__(self, value: str) -> str:
        key = value.strip()
        if API_KEY.fullmatch(key) is None:
            path, message = f"strata:secrets.{self.secret}", "isn't a valid API key"
            fix = f"a key {API_KEY_FORM}; {self.client} is the client that has it"
            raise InvalidStackError([Problem(path, message, fix)])
        return self.form(self.client, key)


def owner(client: str) -> str:
    """The owner of a client's key in `strata:secretGenerations`."""
    return f"client-{client}"


def credentials(client: str, key: str) -> tuple[str, str]:
    """What `Authorization` contains, by either scheme: the key as a token, or name and key."""
    basic = base64.b64encode(f"{client}:{key}".encode()).decode()
    return f"Bearer {key}", f"Basic {basic}"


def keys(client: str, settings: GatewayClient, form: Form) -> Iterator[Part]:
    """Each key that a client may use, as `form` writes it."""
    if settings.keys:
        for given in settings.keys:
            yield Confidential(form(client, given.get_secret_value()))
        return
    if settings.secret:
        yield ExternalSecret(settings.secret, ExternalKey(client, settings.secret, form))
        return
    yield Secret(owner(client), ClientKey(client, form))
    if settings.accept_previous:
        yield Secret(owner(client), ClientKey(client, form, rotations_ago=1))


def key_files(args: GatewayArgs) -> Iterator[File]:
    """The derived keys, for people to read."""
    for client, settings in args.stack.settings.gateway.clients.items():
        if not settings.keys and not settings.secret:
            content: Text = Secret(owner(client), ClientKey(client))
            yield File(path=f"{FOLDER}/client-{client}", content=content)


def aliases(header: str) -> Iterator[str]:
    """Names that a service behind CGI or WSGI can't distinguish from a header."""
    for separators in product("-_", repeat=header.count("-")):
        pieces = zip(header.split("-"), (*separators, ""), strict=True)
        yield "".join(chain.from_iterable(pieces))


def accepted(args: GatewayArgs, route: Route) -> frozenset[Credential]:
    """The credentials that a request may have, of those that the stack has; empty: it needs none."""
    if route.open_reason is not None:
        return frozenset()
    return available(args) & set(route.credentials)


def available(args: GatewayArgs) -> frozenset[Credential]:
    settings = args.stack.settings.gateway
    by_setting = {Credential.KEY: settings.clients, Credential.LOGIN: settings.oidc}
    return frozenset(each for each, setting in by_setting.items() if setting)


def described(args: GatewayArgs) -> str | None:
    """How the gateway authenticates its clients: see `Service.authentication`."""
    names = {Credential.KEY: "API keys", Credential.LOGIN: "logins by OpenID Connect"}
    kinds = [name for each, name in names.items() if each in available(args)]
    if not kinds:
        return None
    opened = ", ".join(
        f"{route.path} ({route.open_reason})" for route in args.routes if route.open_reason
    )
    return f"{' or '.join(kinds)}{f', except for {opened}' if opened else ''}"
