"""Logins at a gateway by OpenID Connect, with both engines and a real provider: who gets in, what services learn
of a user, and what can't be forged."""

import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.sync.client import connect

from tests.docker import images
from tests.docker.api_keys import bearer, key
from tests.docker.conftest import bridge_address, containers, free_port, remove
from tests.docker.openid_server import CLIENT_ID, CLIENT_SECRET, OpenId, log_in, openid
from tests.project import TEST_SYSTEMS, Project

STACK = "pytest-login"
COOKIE = "__Host-login"
PAGE = {"accept": "text/html"}
FORGED = {
    header: "root"
    for name in ("X-Client-Name", "X-Auth-Request-Email", "X-Auth-Request-Groups")
    for header in (name, name.replace("-", "_"), name.replace("-", "_", 1))
}


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"http": free_port(), "https": free_port()}


@pytest.fixture(scope="module")
def provider(engine: Any, ports: dict[str, int]) -> Iterator[OpenId]:
    callback = f"https://localhost:{ports['https']}/oauth2/callback"
    with openid(engine, STACK, bridge_address(engine), [callback]) as provider:
        yield provider


@pytest.fixture(scope="module")
def project(
    engine: Any,
    provider: OpenId,
    ports: dict[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Project]:
    # Not by the update, which has a time limit: the first time, they are compiled.
    images.ensure(engine, "oauth2-proxy", "traefik")
    remove(engine, STACK)
    project = Project(
        tmp_path_factory.mktemp("login") / "project",
        STACK,
        {
            "system": "login",
            "ports": ports,
            "secrets": {"provider": CLIENT_SECRET},
            "gateway": {
                "clients": {"ci": {}},
                "oidc": {
                    "issuer": provider.issuer,
                    "clientId": CLIENT_ID,
                    "clientSecret": "provider",
                    "emailDomains": ["example.com"],
                    "groups": ["operators"],
                    "scopes": ["openid", "email", "groups"],
                    "authority": provider.authority,
                },
            },
        },
        systems=TEST_SYSTEMS,
    )
    yield project
    destroyed = project.destroy()
    remove(engine, STACK)
    assert destroyed.status == 0, destroyed.output


@pytest.fixture(scope="module", params=["nginx", "traefik"])
def url(request: pytest.FixtureRequest, project: Project, ports: dict[str, int]) -> str:
    """The gateway with each engine."""
    gateway = {**project.settings["gateway"], "engine": request.param}
    project.configure({**project.settings, "gateway": gateway})
    up = project.up()
    assert up.status == 0, up.output
    return f"https://localhost:{ports['https']}"


@pytest.fixture
def trusted(project: Project, provider: OpenId) -> ssl.SSLContext:
    """Trusts the gateway and the provider."""
    context = ssl.create_default_context(cadata=project.outputs()["certificateAuthority"])
    context.load_verify_locations(cadata=provider.authority)
    return context


@pytest.fixture
def browser(url: str, trusted: ssl.SSLContext) -> Iterator[httpx.Client]:
    """It follows redirects and keeps cookies."""
    with httpx.Client(base_url=url, verify=trusted, follow_redirects=True, timeout=30) as browser:
        yield browser


@pytest.fixture
def gateway(engine: Any, url: str) -> Any:
    assert url
    return containers(engine, STACK)["gateway"]


def seen(answer: httpx.Response) -> dict[str, str]:
    """What the service learns of who sends the request."""
    assert answer.status_code == 200, answer.text
    headers: dict[str, str] = answer.json()
    return {
        name.removeprefix("x-"): value
        for name, value in headers.items()
        if name.replace("_", "-").startswith(("x-client", "x-auth"))
    }


def test_a_page_leads_to_the_provider_and_back(browser: httpx.Client, provider: OpenId) -> None:
    first = browser.get("/tree/a?b=c&d=e", headers=PAGE, follow_redirects=False)
    assert first.status_code == 302
    assert first.headers["location"].startswith(f"{provider.issuer}/auth?")
    page = log_in(browser, "ada", "/tree/a?b=c&d=e")
    assert (page.status_code, page.text) == (200, "/tree/a?b=c&d=e")
    assert (page.url.host, page.url.path) == ("localhost", "/tree/a")
    (cookie,) = (each for each in browser.cookies.jar if each.name == COOKIE)
    assert cookie.secure
    assert {"HttpOnly", "SameSite"} <= cookie._rest.keys()  # type: ignore[attr-defined]


def test_the_service_learns_who_it_is(browser: httpx.Client, gateway: Any) -> None:
    user = {
        "auth-request-email": "ada@example.com",
        "auth-request-groups": "operators,staff",
        "auth-request-user": "ada",
    }
    log_in(browser, "ada", "/headers")
    assert seen(browser.get("/headers")) == user
    assert seen(browser.get("/headers", headers=FORGED)) == user
    # By HTTP/1.1, `Connection` names headers that a proxy removes.
    named = {"Connection": "X-Auth-Request-Email, X-Auth-Request-Groups"}
    assert seen(browser.get("/headers", headers=named)) == user
    with_key = {**FORGED, **bearer(key(gateway, "ci"))}
    assert seen(browser.get("/headers", headers=with_key)) == {"client-name": "ci"}
    assert "ada@example.com" in gateway.logs().decode()


@pytest.mark.parametrize("user", ["bob", "eve", "mallory"])
def test_other_users_of_the_provider_are_rejected(browser: httpx.Client, user: str) -> None:
    page = log_in(browser, user, "/headers")
    assert page.status_code in (403, 500), page.text
    assert COOKIE not in browser.cookies
    assert browser.get("/headers", headers={"accept": "application/json"}).status_code == 401


def test_without_a_credential(url: str, trusted: ssl.SSLContext) -> None:
    with httpx.Client(base_url=url, verify=trusted) as client:
        assert client.get("/").status_code == 200
        for path in ("/headers", "/tree/a", "/keys/headers"):
            for headers in ({}, FORGED, {"cookie": f"{COOKIE}=forged"}):
                given = {"accept": "application/json", **headers}
                answer = client.get(path, headers=given)
                assert answer.status_code == 401, (path, headers)
                assert answer.headers["x-content-type-options"] == "nosniff"
        for path in ("/.login", "/.login-or-key", "/.variables"):
            assert client.get(path, headers={"accept": "application/json"}).status_code == 404


def test_each_route_accepts_its_credentials(browser: httpx.Client, gateway: Any) -> None:
    own = {**bearer(key(gateway, "ci")), "accept": "application/json"}
    statuses = [
        browser.get(path, headers=own).status_code
        for path in ("/headers", "/keys/headers", "/tree/a")
    ]
    assert statuses == [200, 200, 401]
    log_in(browser, "ada", "/headers")
    statuses = [browser.get(path).status_code for path in ("/headers", "/keys/headers", "/tree/a")]
    assert statuses == [200, 401, 200]


def test_a_cookie_cannot_be_changed(browser: httpx.Client) -> None:
    log_in(browser, "ada", "/headers")
    value = browser.cookies[COOKIE]
    browser.cookies.clear()
    middle = len(value) // 2
    other = "B" if value[middle] == "A" else "A"
    for cookie in (value[:-1], f"{value[:middle]}{other}{value[middle + 1 :]}", ""):
        headers = {"cookie": f"{COOKIE}={cookie}", "accept": "application/json"}
        assert browser.get("/headers", headers=headers).status_code == 401
    assert browser.get("/headers", headers={"cookie": f"{COOKIE}={value}"}).status_code == 200


def test_a_login_of_another_site_is_rejected(
    browser: httpx.Client, trusted: ssl.SSLContext
) -> None:
    """Its callback needs the cookie of the browser that started it."""
    url = str(browser.base_url)
    with httpx.Client(base_url=url, verify=trusted, follow_redirects=True) as other:
        history = [each.url for each in log_in(other, "ada", "/headers").history]
    (callback,) = (each for each in history if each.path == "/oauth2/callback")
    assert browser.get(callback, headers=PAGE).status_code == 403
    assert COOKIE not in browser.cookies


def test_a_return_leads_nowhere_else(browser: httpx.Client) -> None:
    for target in ("https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example/"):
        page = browser.get("/oauth2/sign_out", params={"rd": target}, follow_redirects=False)
        assert page.headers.get("location", "/") == "/"
    headers = {"X-Auth-Request-Redirect": "/tree/elsewhere", "X-Forwarded-Uri": "/tree/elsewhere"}
    browser.headers.update(headers)
    assert log_in(browser, "ada", "/headers").url.path == "/headers"


def test_after_logging_out_it_asks_again(browser: httpx.Client) -> None:
    log_in(browser, "ada", "/headers")
    browser.get("/oauth2/sign_out", follow_redirects=False)
    assert COOKIE not in browser.cookies
    assert browser.get("/headers", headers={"accept": "application/json"}).status_code == 401


def test_a_websocket_needs_a_credential(
    browser: httpx.Client, gateway: Any, trusted: ssl.SSLContext
) -> None:
    url = str(browser.base_url.join("/socket")).replace("https://", "wss://")
    with pytest.raises((InvalidStatus, InvalidURI)), connect(url, ssl=trusted):
        pass
    log_in(browser, "ada", "/headers")
    cookie = {"cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    for headers in (cookie, bearer(key(gateway, "ci"))):
        with connect(url, ssl=trusted, additional_headers=headers) as connection:
            connection.send("hello")
            assert connection.recv(timeout=10) == "hello"


def test_a_body_is_passed_on(browser: httpx.Client) -> None:
    log_in(browser, "ada", "/headers")
    assert browser.post("/headers", content=b"x" * 1000).json()["content-length"] == "1000"


def test_a_page_of_http_leads_to_https(
    url: str, gateway: Any, provider: OpenId, ports: dict[str, int]
) -> None:
    """The cookie needs it. Traefik leaves it to the provider, which knows no such callback."""
    with httpx.Client(base_url=f"http://localhost:{ports['http']}") as client:
        location = client.get("/headers?a=b", headers=PAGE).headers["location"]
    is_nginx = any("nginx" in tag for tag in gateway.image.tags)
    assert location.startswith(f"{url}/headers?a=b" if is_nginx else f"{provider.issuer}/")


def test_no_secret_is_shown(engine: Any, browser: httpx.Client, project: Project) -> None:
    log_in(browser, "ada", "/headers")
    running = containers(engine, STACK)
    login = running["gateway-login"]
    secrets = {"cookie": browser.cookies[COOKIE]}
    for name in ("client-secret", "cookie-secret"):
        status, output = login.exec_run(["cat", f"/run/secrets/{name}"])
        assert status == 0, output
        secrets[name] = output.decode()
    assert secrets["client-secret"] == CLIENT_SECRET
    shown = "".join(
        text
        for each in (login, running["gateway"])
        for text in (
            each.logs().decode(),
            json.dumps(each.attrs),
            json.dumps(each.top(ps_args="-eo pid,args")),
        )
    )
    assert [name for name, value in secrets.items() if value in shown] == []
    assert secrets["cookie-secret"] not in project.state_text()


def test_keys_work_while_the_login_is_away(
    engine: Any, browser: httpx.Client, gateway: Any
) -> None:
    login = containers(engine, STACK)["gateway-login"]
    login.pause()
    try:
        assert browser.get("/keys/headers", headers=bearer(key(gateway, "ci"))).status_code == 200
        assert browser.get("/headers", headers=bearer(key(gateway, "ci"))).status_code == 200
    finally:
        login.unpause()
