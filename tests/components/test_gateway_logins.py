"""Logins at the gateway: what the service that checks them gets, what each route accepts, and what is rejected."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from strata import config, pins
from strata.components import Credential, Gateway, GatewayArgs, Route
from strata.errors import InvalidStackError
from strata.images import catalogue
from strata.stack import Stack
from tests.components.example import application, settings
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import Composed, compose, refused

ENGINES = ("nginx", "traefik")
INTERNAL = ("noop@internal", "ping@internal", "prometheus@internal")
SECRET = "the secret of the gateway at the provider"
OIDC: dict[str, Any] = {
    "issuer": "https://login.example.com/realms/staff",
    "clientId": "strata",
    "clientSecret": "provider",
    "emailDomains": ["example.com"],
}
PATHS = {
    "/both": (Credential.KEY, Credential.LOGIN),
    "/keys": (Credential.KEY,),
    "/users": (Credential.LOGIN,),
}


def door(stack: Stack, paths: Mapping[str, Sequence[Credential]] = PATHS) -> None:
    api = application(stack, "api").endpoint()
    routes = (
        *(Route(path=path, endpoint=api, credentials=tuple(each)) for path, each in paths.items()),
        Route(path="/health", endpoint=api, open_reason="monitors have no key"),
    )
    Gateway("door", GatewayArgs(stack=stack, http=28080, https=28443, routes=routes))


def chosen(oidc: dict[str, Any] | None = None, **more: Any) -> Any:
    gateway = {"clients": {"ci": {}}, "oidc": OIDC | (oidc or {})} | more.pop("gateway", {})
    return settings(gateway=gateway, secrets={"provider": SECRET}, **more)


@pytest.fixture(autouse=True)
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ports and addresses are those of another machine."""
    monkeypatch.setattr("strata.platforms.docker.host._port_problems", lambda *_: ())


def composed(oidc: dict[str, Any] | None = None, **more: Any) -> Composed:
    return compose(door, settings=chosen(oidc, **more))


def files(made: Composed, service: str = "door") -> dict[str, str]:
    return {
        path.rsplit("/", 1)[1]: text
        for path, text in made.recorded.files.items()
        if re.match(f"/{service}-(run-secrets|etc)", path)
    }


def test_the_login_gets_its_settings_and_its_secrets_as_files() -> None:
    made = composed({"groups": ["operators", "staff"], "hours": 8, "scopes": ["openid", "groups"]})
    command = made.recorded.service("door-login")["command"]
    assert {
        "--oidc-issuer-url=https://login.example.com/realms/staff",
        "--client-id=strata",
        "--email-domain=example.com",
        "--allowed-group=operators",
        "--allowed-group=staff",
        "--scope=openid groups",
        "--cookie-expire=8h",
    } <= set(command)
    given = files(made, "door-login")
    assert given["client-secret"] == SECRET
    assert len(given["cookie-secret"]) == 43
    sent = json.dumps(made.recorded.as_sent)
    assert [value for value in given.values() if value in sent] == []


def test_any_domain_is_accepted_if_groups_are_named() -> None:
    made = composed({"emailDomains": [], "groups": ["operators"]})
    assert "--email-domain=*" in made.recorded.service("door-login")["command"]


def test_only_the_gateway_reaches_the_login() -> None:
    made = composed()
    links = {(link["client"], link["server"]) for link in made.outputs["links"]}
    assert {client for client, server in links if server == "door-login"} == {"door"}
    assert {server for client, server in links if client == "door-login"} == set()


def test_nginx_asks_about_each_request_what_the_route_accepts() -> None:
    text = files(composed())["nginx.conf"]
    locations = dict(re.findall(r"location = (\S+) \{\n(.*?)\n    \}", text, re.DOTALL))
    asked = {
        path: (re.findall(r"auth_request (\S+);", body), "return 401" in body)
        for path, body in locations.items()
        if path in (*PATHS, "/health")
    }
    assert asked == {
        "/both": (["/.login-or-key"], False),
        "/keys": ([], True),
        "/users": (["/.login"], False),
        "/health": ([], False),
    }
    assert '{"error": "this path requires an API key or a login"}' in text
    assert "return 204" in locations["/.login-or-key"]
    assert "return 204" not in locations["/.login"]
    assert all("internal;" in locations[path] for path in ("/.login", "/.login-or-key"))


def test_traefik_asks_about_each_request_what_the_route_accepts() -> None:
    http = json.loads(files(composed(gateway={"engine": "traefik"}))["routes.json"])["http"]
    routers = http["routers"]

    def below(parent: str) -> set[str]:
        return {name for name, one in routers.items() if parent in one.get("parentRefs", ())}

    assert below("/both") == {"/both client ci", "/both user"}
    assert below("/keys") == {"/keys client ci", "/keys rejected"}
    assert below("/users") == {"/users user"}
    assert below("/health") == {"/health client ci", "/health anybody"}
    assert routers["/users user"]["middlewares"][0] == "login"
    assert below("/users user") == {"/users direct", "/users counted"}
    assert http["middlewares"]["login"]["forwardAuth"]["authResponseHeaders"] == [
        *("X-Auth-Request-Email", "X-Auth-Request-Groups", "X-Auth-Request-User")
    ]
    for router in routers.values():
        assert set(router.get("middlewares", ())) <= http["middlewares"].keys()
        assert set(router.get("parentRefs", ())) <= routers.keys()
        assert router.get("service", "noop@internal") in {*http["services"], *INTERNAL}


@pytest.mark.parametrize("engine", ENGINES)
def test_no_request_has_a_name_that_its_client_gave(engine: str) -> None:
    made = compose(door, settings=settings(gateway={"engine": engine}))
    names = (
        "X-Client-Name",
        "X-Auth-Request-Email",
        "X-Auth-Request-Groups",
        "X-Auth-Request-User",
    )
    if engine == "nginx":
        text = files(made)["nginx.conf"]
        assert all(f"proxy_set_header {name} $" in text for name in names)
        return
    http = json.loads(files(made)["routes.json"])["http"]
    removed = http["middlewares"]["headers"]["headers"]["customRequestHeaders"]
    assert {*names, "X_Auth_Request_Email", "X-Auth_Request-Groups"} <= removed.keys()
    assert set(removed.values()) == {""}


def test_without_it_nothing_logs_in() -> None:
    with_keys = settings(gateway={"clients": {"ci": {}}})
    made = compose(lambda stack: door(stack, {"/both": PATHS["/both"]}), settings=with_keys)
    assert "door-login-1" not in made.recorded.inputs
    assert "auth_request /" not in files(made)["nginx.conf"]


@pytest.mark.parametrize(
    ("clients", "label"),
    [
        ({}, "logins by OpenID Connect, except for /health (monitors have no key)"),
        (
            {"ci": {}},
            "API keys or logins by OpenID Connect, except for /health (monitors have no key)",
        ),
    ],
)
def test_the_label_says_who_may_use_it(clients: dict[str, Any], label: str) -> None:
    more = {"clients": clients, "address": "192.0.2.10"}
    made = compose(
        lambda stack: door(stack, {"/both": PATHS["/both"]}), settings=chosen(gateway=more)
    )
    labels = {one["label"]: one["value"] for one in made.recorded.service("door")["labels"]}
    assert labels["strata.authentication"] == label


@pytest.mark.parametrize(
    ("paths", "changed", "expected"),
    [
        (PATHS, {"emailDomains": []}, {"strata:gateway.oidc"}),
        (
            PATHS,
            {"clientSecret": "other"},
            {"service door-login: files./run/secrets/client-secret", "strata:secrets.provider"},
        ),
        ({"/a": ()}, {}, {"service door: routes[0].credentials"}),
        ({"/oauth2/start": PATHS["/both"]}, {}, {"service door: routes[0].path"}),
        ({"/oauth2": PATHS["/both"]}, {}, {"service door: routes[0].path"}),
    ],
)
def test_it_is_rejected(
    paths: Mapping[str, Sequence[Credential]], changed: dict[str, Any], expected: set[str]
) -> None:
    error, _ = refused(lambda stack: door(stack, paths), settings=chosen(changed))
    assert {problem.path for problem in error.problems} == expected
    assert SECRET not in str(error)


def test_a_route_needs_a_credential_that_the_stack_has() -> None:
    error, _ = refused(door, settings=settings(gateway={"clients": {"ci": {}}}))
    (problem,) = error.problems
    assert str(problem.path) == "service door: routes[2].credentials"
    assert problem.fix == "set strata:gateway.oidc, or accept the other credential, too"
    assert compose(door, settings=settings(gateway={})).recorded.of("Container"), "on dev: none"


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"issuer": "http://login.example.com"}, "issuer"),
        ({"clientSecret": ""}, "clientSecret"),
        ({"emailDomains": ["*"]}, "emailDomains[0]"),
        ({"groups": ["a,b"]}, "groups[0]"),
        ({"hours": 0}, "hours"),
        ({"authority": "a file"}, "authority"),
    ],
)
def test_a_wrong_setting_is_named(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidStackError) as caught:
        config.load({"strata:gateway": json.dumps({"oidc": OIDC | changed})})
    assert [problem.path for problem in caught.value.problems] == [f"strata:gateway.oidc.{path}"]


def test_on_kubernetes_its_secrets_are_secret() -> None:
    assert catalogue.get("oauth2-proxy").upstream_for_pods == pins.OAUTH2_PROXY
    recorded = on_kubernetes.compose(door, settings=chosen(platform="kubernetes")).recorded
    (container,) = recorded.inputs["Deployment", "door-login"]["spec"]["template"]["spec"][
        "containers"
    ]
    assert "--http-address=0.0.0.0:4180" in container["args"]
    having = [name for name, one in recorded.of("Secret").items() if SECRET in str(one)]
    assert len(having) == 1
    assert [name for name, one in recorded.of("ConfigMap").items() if SECRET in str(one)] == []
