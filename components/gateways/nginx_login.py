"""How NGINX identifies who sends a request, and sends a browser to the provider."""

import json
from collections.abc import Iterator, Set

from strata.components.gateways import authentication, login
from strata.components.gateways.arguments import Credential, GatewayArgs
from strata.components.gateways.authentication import CHALLENGE, UNSET_HEADERS, available
from strata.config import PlatformName
from strata.model import HostName
from strata.model.text import Part

VARIABLES = {
    header: header.removeprefix("X-Auth-Request-").lower() for header in authentication.USER_HEADERS
}
NAMES = {Credential.KEY: "an API key", Credential.LOGIN: "a login"}

MAPS = f"""\
  # A browser that opens a page gets the provider's, and other programs an error.
  map $http_accept $is_page {{ default ''; '~text/html' 1; }}
  # The cookie of a login is for the gateway alone.
  map $http_cookie $passed_cookies {{
    default $http_cookie;
    '~^{login.COOKIE}=[^;]*(?:; ?(?<others>.*))?$' $others;
    '~^(?<before>.*); ?{login.COOKIE}=[^;]*(?<after>.*)$' $before$after;
  }}
"""
USER_HEADERS = "".join(
    [
        *(f"    proxy_set_header {header} $user_{name};\n" for header, name in VARIABLES.items()),
        *(f"    proxy_set_header {header} '';\n" for header in UNSET_HEADERS),
    ]
)

WITH_LOGIN, WITH_LOGIN_OR_KEY = "/.login", "/.login-or-key"
"""Internal locations: no request from outside reaches them."""


def authenticated(accepted: Set[Credential]) -> str:
    """What a location requires of a request."""
    if not accepted:
        return ""
    offered = f"      set $offered '{CHALLENGE if Credential.KEY in accepted else ''}';\n"
    if Credential.LOGIN not in accepted:
        return f"{offered}      if ($client_name = '') {{ return 401; }}\n"
    check = WITH_LOGIN_OR_KEY if Credential.KEY in accepted else WITH_LOGIN
    users = "".join(
        f"      auth_request_set $user_{name} $upstream_http_x_auth_request_{name};\n"
        for name in VARIABLES.values()
    )
    return f"{offered}      set $sign_in $is_page;\n      auth_request {check};\n{users}"


def unauthorized(name: str, args: GatewayArgs) -> Iterator[Part]:
    """The response to a request that lacks a credential. `=`: the status is that of the location."""
    names = [name for each, name in NAMES.items() if each in available(args)]
    message = json.dumps({"error": f"this path requires {' or '.join(names)}"})
    yield f"""\
    error_page 401 = @401;
    location @401 {{
      internal;
      default_type application/json;
      set $challenge $offered;
      if ($sign_in = '') {{ return 401 '{message}'; }}
      set $challenge '';
"""
    if args.stack.settings.gateway.oidc:
        if args.stack.settings.platform is PlatformName.DOCKER:
            # Browsers keep the cookie only by TLS. Elsewhere a load balancer ends it.
            location = f"https://$host:{args.https}$request_uri"
            yield f"      if ($scheme = http) {{ return 302 {location}; }}\n"
        yield from _passed(name, "start", returns_to="$request_uri")
    yield "    }\n"


def locations(name: str, args: GatewayArgs) -> Iterator[Part]:
    """Those of logins: for browsers, and for NGINX itself."""
    # A variable exists only if something sets it, and not every configuration has such a route.
    users = " ".join(f"set $user_{each} '';" for each in VARIABLES.values())
    yield f"""\
    location = /.variables {{ internal; set $route ''; set $offered ''; set $sign_in ''; {users} }}
"""
    if not args.stack.settings.gateway.oidc:
        return
    yield f"    error_page 500 =502 @502;\n    location {login.PREFIX} {{\n"
    yield from _passed(name)
    yield "    }\n"
    for path, condition in (
        (WITH_LOGIN, ""),
        (WITH_LOGIN_OR_KEY, "      if ($client_name) { return 204; }\n"),
    ):
        yield f"""\
    location = {path} {{
      internal;
{condition}      proxy_pass_request_body off;
      proxy_set_header Content-Length '';
"""
        yield from _passed(name, "auth")
        yield "    }\n"


def _passed(name: str, path: str = "", returns_to: str = "''") -> Iterator[Part]:
    """Passes the request to the login, with nothing that a client says of where it comes from or returns to.
    `path`: instead of the request's own."""
    yield f"""\
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Uri '';
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header {login.REDIRECT_HEADER} {returns_to};
      proxy_set_header Authorization '';
      proxy_set_header Connection '';
      # It sets cookies of several kilobytes.
      proxy_buffer_size 16k;
      proxy_buffers 4 16k;
      set $login \
"""
    yield HostName(login.login_of(name))
    rewrite = f"      rewrite ^ {login.PREFIX}{path}? break;\n" if path else ""
    yield f":{login.PORT};\n{rewrite}      proxy_pass http://$login;\n"
