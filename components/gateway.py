"""Gateway: the entry point of a stack."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pulumi

from strata.components.component import WorkloadComponent
from strata.components.gateways import login, nginx, traefik
from strata.components.gateways.arguments import EVERYTHING, Credential, GatewayArgs, Route
from strata.components.gateways.authentication import accepted, available, owner
from strata.config import GatewayEngine, PlatformName, Settings
from strata.model import Problem, Service
from strata.model.argument_types import check_types

__all__ = ["Credential", "Gateway", "GatewayArgs", "Route"]

ENGINES: Mapping[GatewayEngine, Callable[[str, GatewayArgs], Service]] = {
    GatewayEngine.NGINX: nginx.describe,
    GatewayEngine.TRAEFIK: traefik.describe,
}
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?")


class Gateway(WorkloadComponent):
    """The gateway of a stack: `Gateway("gateway", GatewayArgs(...))`. The setting
    `strata:gateway.engine` selects the program."""

    def __init__(
        self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        check_types(f"service {name}", args)
        excluded = args.stack.composition.excluded
        routes = tuple(each for each in args.routes if each.endpoint.service not in excluded)
        describe = ENGINES[args.stack.settings.gateway.engine]
        workloads = [describe(name, replace(args, routes=routes))]
        if oidc := args.stack.settings.gateway.oidc:
            workloads.append(login.describe(name, args, oidc))
        problems = (*check(name, args), *check_settings(args.stack.settings))
        super().__init__("Gateway", workloads, args.stack, problems, opts)


def check(name: str, args: GatewayArgs) -> Iterator[Problem]:
    """The errors of the arguments."""
    if not args.routes:
        yield Problem(f"service {name}: routes", "is empty", "add a Route")
    if not args.names:
        yield Problem(f"service {name}: names", "is empty", "set the host names that clients use")
    paths = (route.path.rstrip("/").removesuffix("/*") for route in args.routes)
    for path, count in Counter(paths).items():
        if count > 1:
            yield Problem(
                f"service {name}: routes", f"{path or '/'} is listed {count} times", "list it once"
            )
    for origin in args.origins:
        if ORIGIN.fullmatch(origin) is None:
            yield Problem(
                f"service {name}: origins",
                f"{origin!r} is not an origin",
                "write scheme, host and port without a path, such as https://app.example.com",
            )
    for index, route in enumerate(args.routes):
        prefix = f"service {name}: routes[{index}]"
        if not route.path.startswith("/") or set(route.path) & set(" \t\n;{}\"'`$\\"):
            yield Problem(
                f"{prefix}.path",
                f"{route.path!r} is not a valid path",
                "start with '/', without blanks, quotes, backticks or any of ; { } $ \\",
            )
        if route.open_reason is not None and not route.open_reason.strip():
            yield Problem(f"{prefix}.open_reason", "is empty", "say why anybody may use the route")
        yield from _credential_problems(prefix, route, args)
        if route.endpoint.external is not None:
            yield Problem(
                f"{prefix}.endpoint",
                f"{route.endpoint.host} is outside of the stack",
                "route to a service of the stack, which calls it",
            )
        if "*" in route.path and route.path != EVERYTHING:
            yield Problem(
                f"{prefix}.path",
                f"{route.path!r} has a '*'",
                f"leave it out: a path matches what is below it, too; or write {EVERYTHING} for all paths",
            )
        for field in ("requests_per_second", "burst", "body_kib", "timeout_seconds"):
            if getattr(route, field) < 1:
                yield Problem(f"{prefix}.{field}", "is less than 1", "use 1 or more")


def _credential_problems(prefix: str, route: Route, args: GatewayArgs) -> Iterator[Problem]:
    path = f"{prefix}.credentials"
    if not route.credentials:
        yield Problem(
            path, "is empty", "name a Credential, or say in open_reason why it needs none"
        )
    elif available(args) and not route.open_reason and not accepted(args, route):
        setting = {Credential.KEY: "clients", Credential.LOGIN: "oidc"}[route.credentials[0]]
        yield Problem(
            path,
            f"the stack has no {route.credentials[0]} for {route.path}",
            f"set strata:gateway.{setting}, or accept the other credential, too",
        )
    if args.stack.settings.gateway.oidc and f"{route.path}/".startswith(login.PREFIX):
        yield Problem(
            f"{prefix}.path", f"{login.PREFIX} is for logins", "serve the path at another one"
        )


def check_settings(settings: Settings) -> Iterator[Problem]:
    """The errors of `strata:gateway`."""
    yield from _check_acme(settings)
    yield from _check_clients(settings)
    yield from _check_oidc(settings)
    yield from _check_address(settings)


def _check_clients(settings: Settings) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, client in settings.gateway.clients.items():
        path = f"strata:gateway.clients.{name}"
        for index, key in enumerate(client.keys):
            # NGINX ignores the case of letters.
            folded = key.get_secret_value().lower()
            if folded in owners:
                message = f"is also a key of {owners[folded]}"
                yield Problem(f"{path}.keys[{index}]", message, "use another key, or remove it")
            owners[folded] = name
        if client.keys and client.secret:
            message = "the client has keys, too"
            yield Problem(f"{path}.secret", message, "remove it, or the keys")
        if not client.accept_previous:
            continue
        if client.keys or client.secret:
            yield Problem(
                f"{path}.acceptPrevious",
                "has no effect on keys of your own",
                f"remove it, and list both keys in {path}.keys",
            )
        elif settings.secret_generations.get(owner(name), 1) < 2:
            yield Problem(
                f"{path}.acceptPrevious",
                "there is no previous key",
                f"remove it, or set strata:secretGenerations.{owner(name)} to 2",
            )


def _check_oidc(settings: Settings) -> Iterator[Problem]:
    oidc = settings.gateway.oidc
    if oidc and not oidc.email_domains and not oidc.groups:
        yield Problem(
            "strata:gateway.oidc",
            "accepts every user of the provider",
            "set emailDomains, groups or both",
        )


def _check_address(settings: Settings) -> Iterator[Problem]:
    path, address = "strata:gateway.address", settings.gateway.address
    if address.is_loopback:
        return
    if settings.platform is not PlatformName.DOCKER:
        message = "works only on Docker: a load balancer has addresses of its own"
        yield Problem(path, message, "remove it, and see strata:loadBalancer")
    elif address.is_unspecified:
        message = "names no address for the certificate"
        yield Problem(path, message, "set the one that clients use, such as 192.168.1.10")
    if not (settings.gateway.clients or settings.gateway.oidc):
        yield Problem(
            path,
            f"other machines can reach {address}, and the gateway requires no API key or login",
            "add a client: pulumi config set --path strata:gateway.clients.NAME.acceptPrevious false",
        )


def _check_acme(settings: Settings) -> Iterator[Problem]:
    if settings.gateway.acme is None:
        return
    path = "strata:gateway.acme"
    if settings.platform is not PlatformName.DOCKER:
        acm = ", and ACM issues the certificate of strata:domain"
        message = f"works only on Docker{acm if settings.platform is PlatformName.EKS else ''}"
        yield Problem(path, message, "remove it")
        return
    if settings.gateway.engine is not GatewayEngine.TRAEFIK:
        yield Problem(
            path, "NGINX is no ACME client", "set strata:gateway.engine to traefik, or remove it"
        )
    if settings.domain is None:
        yield Problem(path, "there is no domain to certify", "set strata:domain")
