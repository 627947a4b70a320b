"""Traefik as the gateway, with a certificate of an ACME server. Its routes are those that
tests/docker/test_fields.py asks NGINX for."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from strata.model import client_certificate
from tests.docker import api_keys, images, mutual_tls
from tests.docker.conftest import bridge_address, containers, free_port, health, running
from tests.docker.pebble_server import Pebble, pebble
from tests.project import TEST_SYSTEMS, Project
from tests.wait import until

STACK = "pytest-traefik"
DOMAIN = "shop.example.com"


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"http": free_port(), "https": free_port()}


@pytest.fixture(scope="module")
def server(engine: Any, ports: dict[str, int]) -> Iterator[Pebble]:
    """An ACME server at the address that this machine has on Docker's own bridge."""
    with pebble(engine, STACK, bridge_address(engine), DOMAIN, ports["https"]) as server:
        yield server


@pytest.fixture(scope="module")
def fronted(
    engine: Any, server: Pebble, ports: dict[str, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The system of tests/systems/fronted.py behind Traefik."""
    # Not by the update, which has a time limit: the first time, it's compiled.
    images.ensure(engine, "traefik")
    project = Project(
        tmp_path_factory.mktemp("fronted") / "project",
        STACK,
        {
            "system": "fronted",
            "ports": ports,
            "domain": DOMAIN,
            "gateway": {
                "engine": "traefik",
                "clients": api_keys.SETTINGS,
                "acme": {
                    "email": "team@example.com",
                    "server": server.directory,
                    "authority": server.authority,
                },
            },
        },
        systems=TEST_SYSTEMS,
    )
    with running(engine, project):
        yield project


@pytest.fixture
def client(fronted: Project, ports: dict[str, int]) -> Iterator[httpx.Client]:
    assert fronted.stack == STACK
    with httpx.Client(base_url=f"http://127.0.0.1:{ports['http']}", timeout=30) as client:
        yield client


@pytest.fixture
def gateway(engine: Any, fronted: Project) -> Any:
    """The container of the gateway."""
    return containers(engine, fronted.stack)["gateway"]


def certificate(port: int, authority: str, name: str) -> x509.Certificate:
    """The certificate that the gateway shows for a name. Fails if the authority didn't issue it."""
    context = ssl.create_default_context(cadata=authority)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def issued(port: int, server: Pebble) -> x509.Certificate | None:
    """The certificate of the ACME server, once the gateway has it."""
    try:
        return certificate(port, server.root(), DOMAIN)
    except (ssl.SSLError, ConnectionError):
        return None


def storage(gateway: Any) -> dict[str, Any]:
    """What the gateway keeps of the ACME server: account and certificates."""
    status, content = gateway.exec_run(["cat", "/var/lib/traefik/acme.json"])
    assert status == 0, content
    kept: dict[str, Any] = json.loads(content)["acme"]
    return kept


def check(gateway: Any) -> int:
    """The status of the container's own health check, now."""
    status: int = gateway.exec_run(gateway.attrs["Config"]["Healthcheck"]["Test"][1:])[0]
    return status


def lines(gateway: Any) -> list[dict[str, Any]]:
    """The access log."""
    found = [json.loads(line) for line in gateway.logs(stderr=False).splitlines()]
    return [line for line in found if "RequestMethod" in line]


def test_the_acme_server_certifies_the_domain(
    gateway: Any, server: Pebble, ports: dict[str, int]
) -> None:
    shown = until(lambda: issued(ports["https"], server), "the gateway has a certificate")
    assert shown is not None
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [DOMAIN]
    output = gateway.exec_run(["stat", "--format=%a %u", "/var/lib/traefik/acme.json"]).output
    assert output.decode().split() == ["600", "10001"]


def test_no_key_leaves_the_volume(gateway: Any, fronted: Project, ports: dict[str, int]) -> None:
    kept = storage(gateway)
    keys = [kept["Account"]["PrivateKey"], *(one["key"] for one in kept["Certificates"])]
    assert len(keys) == 2
    texts = (fronted.state_text(), gateway.logs().decode(), json.dumps(gateway.attrs))
    assert [key for key in keys if any(key[:200] in text for text in texts)] == []


def test_other_names_have_the_certificate_of_the_stack(
    fronted: Project, ports: dict[str, int]
) -> None:
    authority = fronted.outputs()["certificateAuthority"]
    assert certificate(ports["https"], authority, "localhost")
    context = ssl.create_default_context(cadata=authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", ports["https"])) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("ciphers", "version"),
    [
        ("AES128-SHA256:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA", ssl.TLSVersion.TLSv1_2),
        ("ALL:@SECLEVEL=0", ssl.TLSVersion.TLSv1_1),
    ],
    ids=["an old cipher", "an old version"],
)
def test_tls_is_rejected_with(
    fronted: Project, ports: dict[str, int], ciphers: str, version: ssl.TLSVersion
) -> None:
    assert fronted.stack == STACK
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = min(version, ssl.TLSVersion.TLSv1_2)
    context.maximum_version = version
    context.set_ciphers(ciphers)
    with (
        socket.create_connection(("127.0.0.1", ports["https"])) as plain,
        pytest.raises(ssl.SSLError, match=r"HANDSHAKE_FAILURE|PROTOCOL_VERSION"),
    ):
        context.wrap_socket(plain)


def test_it_leads_to_its_routes_and_to_nothing_else(client: httpx.Client) -> None:
    for path in ("/", "/tree/", "/tree/a/b?c=d", "/rare", "/small/below"):
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (200, path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert [client.get(path).status_code for path in ("/treehouse", "/nothing", "/ping")] == 3 * [
        404
    ]
    answer = client.get("/tree", follow_redirects=True)
    assert (answer.status_code, answer.text) == (200, "/tree/")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "pages.example.com"}, 421),
        ({"host": "localhost"}, 200),
        ({"host": f"{DOMAIN}:443"}, 200),
        ({"origin": "https://pages.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://app.example.com"}, 200),
        ({"origin": f"https://{DOMAIN}"}, 200),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_it_serves_pages_of_its_own_site_alone(
    client: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = client.get("/", headers=headers)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_its_own_origin_is_of_its_own_site(client: httpx.Client) -> None:
    own = str(client.base_url).rstrip("/")
    assert client.get("/", headers={"origin": own}).status_code == 200


def test_it_proves_its_name_to_a_service_with_mutual_tls(
    engine: Any, fronted: Project, client: httpx.Client
) -> None:
    answer = client.get("/guarded/path")
    assert (answer.status_code, answer.text) == (200, "/guarded/path")
    stack = mutual_tls.secrets_of(fronted)
    address = (mutual_tls.address_of(containers(engine, STACK)["guarded"], 8443), 8443)
    served = [
        mutual_tls.is_served(address, "guarded", mutual_tls.HTTP, context)
        for context in (
            mutual_tls.context(stack, client_certificate("any")),
            mutual_tls.context(stack),
            None,
        )
    ]
    assert served == [True, False, False], "by a certificate, without one, by plaintext"


def test_it_limits_how_often(client: httpx.Client) -> None:
    # An error response of a route counts as well.
    answers = [client.get("/rare").status_code for _ in range(8)]
    assert 429 in answers, "one a second and one more at once were allowed"
    assert set(answers) == {200, 429}
    assert client.get("/small").status_code == 200, "another route has a limit of its own"


@pytest.mark.parametrize("bytes_sent", [10, 1024, 1025])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["declared", "chunked"])
def test_it_limits_how_much(client: httpx.Client, bytes_sent: int, is_chunked: bool) -> None:
    body = b"x" * bytes_sent
    answer = client.post("/small", content=iter([body]) if is_chunked else body)
    assert answer.status_code == (200 if bytes_sent <= 1024 else 413)


def test_it_limits_how_long(client: httpx.Client) -> None:
    start = time.monotonic()
    assert client.get("/late").status_code == 504
    assert time.monotonic() - start < 4, "the service would have answered after 5 s"


def test_it_passes_websockets_on_where_a_route_says_so(client: httpx.Client) -> None:
    base = str(client.base_url).replace("http://", "ws://").rstrip("/")
    with connect(f"{base}/socket") as connection:
        for message in ("first", "second"):
            connection.send(message)
            assert connection.recv(timeout=10) == message
    with pytest.raises(InvalidStatus), connect(f"{base}/tree/"):
        pass


def test_it_says_what_it_knows_and_starts_a_trace(client: httpx.Client, gateway: Any) -> None:
    sent = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}
    headers = client.get("/headers?token=hidden", headers=sent).json()
    assert headers["host"] == client.base_url.netloc.decode()
    assert headers["x-forwarded-proto"] == "http"
    assert "192.0.2.1" not in headers["x-forwarded-for"]
    trace = headers["traceparent"].split("-")[1]
    (line,) = until(
        lambda: [one for one in lines(gateway) if one.get("TraceId") == trace], "it is logged"
    )
    assert {key: line[key] for key in ("RequestMethod", "DownstreamStatus")} == {
        "RequestMethod": "GET",
        "DownstreamStatus": 200,
    }
    assert "/headers" in line["RouterName"]
    assert {"StartUTC", "Duration", "ClientHost", "DownstreamContentSize"} <= line.keys()
    assert "hidden" not in gateway.logs().decode()
    until(lambda: int(client.get("/tree/spans").text) > 0, "spans were sent")


def test_it_is_for_its_clients(client: httpx.Client, gateway: Any) -> None:
    api_keys.check_who_may_use_it(client, gateway)


def test_a_name_of_a_client_cannot_be_forged(client: httpx.Client, gateway: Any) -> None:
    api_keys.check_names_cannot_be_forged(client, gateway)
    # Of a path that leads nowhere, too: its request is logged.
    assert client.get("/nothing", headers={"X-Client-Name": "root"}).status_code == 404


def test_it_counts_each_client(client: httpx.Client, gateway: Any) -> None:
    api_keys.check_limits_count_each_client(client, gateway)


def test_it_shows_no_key(fronted: Project, gateway: Any) -> None:
    api_keys.check_no_key_is_shown(fronted, gateway)


def test_its_metrics_are_read(engine: Any, client: httpx.Client) -> None:
    assert client.get("/tree/").status_code == 200
    script = "import urllib.request as r; print(r.urlopen('http://gateway:8082/metrics').read().decode())"
    reader = containers(engine, STACK)["reader"]
    status, output = reader.exec_run(["python3", "-c", script])
    assert status == 0, output
    metrics = output.decode()
    for name in (
        'traefik_entrypoint_requests_total{code="200",entrypoint="http2",method="GET"',
        'traefik_entrypoint_request_duration_seconds_bucket{code="200",entrypoint="http2"',
        "traefik_open_connections{entrypoint=",
        "traefik_config_last_reload_success ",
    ):
        assert name in metrics
    assert "traefik_service_" not in metrics
    assert any(
        line.startswith("traefik_tls_certs_not_after{") and f'sans="{DOMAIN}"' in line
        for line in metrics.splitlines()
    )


def test_it_is_hardened(gateway: Any) -> None:
    host = gateway.attrs["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["CapAdd"]) == (True, ["ALL"], None)
    assert gateway.attrs["Config"]["User"] == "10001:10001"
    assert "docker.sock" not in json.dumps(gateway.attrs)


def test_it_answers_for_a_service_that_is_away(engine: Any, client: httpx.Client) -> None:
    away = containers(engine, STACK)["away"]
    until(lambda: client.get("/away").status_code == 200, "the service answers")
    away.stop()
    until(lambda: client.get("/away").status_code == 502, "the gateway knows that it is away")
    away.start()
    until(lambda: client.get("/away").status_code == 200, "the service answers again")


# The tests below restart the gateway.


def test_its_health_fails_without_its_routes(gateway: Any, client: httpx.Client) -> None:
    assert check(gateway) == 0
    (mount,) = [one for one in gateway.attrs["Mounts"] if one["Destination"] == "/run/secrets"]
    file = Path(mount["Source"], "routes.json")
    routes = file.read_text()
    try:
        file.write_text(routes.replace('"routers"', '"router"'))
        gateway.restart()
        until(lambda: b"field not found" in gateway.logs(), "it reported the file")
        assert check(gateway) != 0
    finally:
        file.write_text(routes)
        gateway.restart()
    until(lambda: health(gateway) == "healthy", "it is healthy again")
    assert client.get("/").status_code == 200


def test_a_certificate_is_renewed_before_it_expires(
    gateway: Any, server: Pebble, ports: dict[str, int]
) -> None:
    """At every start, and once a day."""
    first = certificate(ports["https"], server.root(), DOMAIN)
    account = storage(gateway)["Account"]["Registration"]["uri"]
    gateway.restart()

    def renewed() -> bool:
        shown = issued(ports["https"], server)
        return shown is not None and shown.serial_number != first.serial_number

    until(renewed, "another certificate is shown")
    assert storage(gateway)["Account"]["Registration"]["uri"] == account


def test_the_previous_key_is_accepted_on_request(
    engine: Any, fronted: Project, client: httpx.Client, gateway: Any
) -> None:
    old = api_keys.key(gateway, "ci")
    settings = dict(fronted.settings)
    clients = {**api_keys.SETTINGS, "ci": {"acceptPrevious": True}}
    settings["gateway"] = {**settings["gateway"], "clients": clients}
    fronted.configure({**settings, "secretGenerations": {"client-ci": 2}})
    up = fronted.up()
    assert up.status == 0, up.output
    new = api_keys.key(containers(engine, STACK)["gateway"], "ci")
    assert new != old
    for each in (old, new):
        answer = client.get("/keys/headers", headers=api_keys.bearer(each))
        assert (answer.status_code, answer.json().get("x-client-name")) == (200, "ci")


def test_again_is_free(fronted: Project) -> None:
    result = fronted.run("preview", "--expect-no-changes")
    assert result.status == 0, result.output
