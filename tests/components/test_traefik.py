"""Traefik as the engine of a gateway: its two files, its service, and what `strata:gateway` rejects."""

import json
import re
from typing import Any

import pytest
import yaml

from strata import config
from strata.components import Gateway, GatewayArgs, Route
from strata.components.gateways.traefik_routes import up_to
from strata.errors import InvalidStackError
from strata.model import Endpoint
from strata.stack import Stack
from systems import reference
from tests import planned
from tests.components.example import application, settings
from tests.components.stack import Composed, compose, refused

ACME = {"email": "team@example.com", "server": "https://acme.example.com/dir"}
WITH_ACME: dict[str, Any] = {
    "domain": "app.example.com",
    "gateway": {"engine": "traefik", "acme": ACME},
}


MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


def door(stack: Stack, **changed: Any) -> None:
    api = application(stack, "api").endpoint()
    fields: dict[str, Any] = {
        "stack": stack,
        "http": 18080,
        "https": 443,
        "routes": (
            Route(path="/api", endpoint=api, requests_per_second=5, burst=9, body_kib=10),
            Route(path="/api/live/", endpoint=api, websocket=True, timeout_seconds=300),
        ),
    }
    Gateway("door", GatewayArgs(**(fields | changed)))


def composed(given: dict[str, Any] | None = None, **changed: Any) -> Composed:
    chosen = settings(**(given or {"gateway": {"engine": "traefik"}}))
    return compose(lambda stack: door(stack, **changed), settings=chosen)


def files(made: Composed) -> tuple[dict[str, Any], dict[str, Any]]:
    """The file of the process, and that of the routes."""
    texts = {path.rsplit("/", 1)[1]: text for path, text in made.recorded.files.items()}
    return yaml.safe_load(texts["traefik.yml"]), json.loads(texts["routes.json"])


@pytest.fixture(scope="module")
def made() -> Composed:
    return composed()


@pytest.fixture(scope="module")
def process(made: Composed) -> dict[str, Any]:
    return files(made)[0]


@pytest.fixture(scope="module")
def routes(made: Composed) -> dict[str, Any]:
    return files(made)[1]


def test_each_entry_point_has_one_address_that_leads_to_it(
    made: Composed, process: dict[str, Any]
) -> None:
    outward = made.recorded.inputs["door-outward"]["ipamConfigs"][0]["subnet"].rpartition(".")[0]
    addresses = {name: one["address"] for name, one in process["entryPoints"].items()}
    for name, number in (("http", 8080), ("https", 8443)):
        assert addresses[f"{name}1"] == f"127.0.0.1:{number}"
        assert addresses[f"{name}2"].startswith(f"{outward}.")
        assert addresses[f"{name}2"].endswith(f":{number}")
    assert addresses["probe1"] == "127.0.0.1:8081"
    public = {name for name, one in process["entryPoints"].items() if one.get("asDefault")}
    assert public == {"http1", "http2", "https1", "https2"}
    with_tls = {
        name for name, one in process["entryPoints"].items() if "tls" in one.get("http", {})
    }
    assert with_tls == {"https1", "https2"}


def test_routes_come_from_a_file_alone(process: dict[str, Any]) -> None:
    assert process["providers"] == {
        "file": {"filename": "/run/secrets/routes.json", "watch": False}
    }
    assert not {"api", "certificatesResolvers", "tracing"} & process.keys()
    assert process["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}


def test_the_access_log_has_nothing_of_a_query_or_a_header(process: dict[str, Any]) -> None:
    fields = process["accessLog"]["fields"]
    kept = {"X-Client-Name": "keep", "X-Auth-Request-Email": "keep"}
    headers = {"defaultMode": "drop", "names": kept}
    assert (fields["defaultMode"], fields["headers"]) == ("drop", headers)
    assert not {"RequestPath", "RequestAddr", "ClientUsername"} & fields["names"].keys()
    assert {"StartUTC", "RouterName", "DownstreamStatus", "TraceId"} <= fields["names"].keys()


def test_a_route_for_all_paths_yields_to_every_other() -> None:
    def describe(stack: Stack) -> None:
        api = application(stack, "api").endpoint()
        shop = application(stack, "shop").endpoint()
        every = (Route(path="/*", endpoint=shop), Route(path="/a", endpoint=api))
        Gateway("door", GatewayArgs(stack=stack, routes=every))

    made = compose(describe, settings=settings(gateway={"engine": "traefik"}))
    routers = files(made)[1]["http"]["routers"]
    assert routers["/*"]["rule"] == "Path(`/`) || PathPrefix(`/`)"
    assert routers["/*"]["priority"] < routers["/a"]["priority"]


def test_a_route_has_its_limits(routes: dict[str, Any]) -> None:
    routers, middlewares = routes["http"]["routers"], routes["http"]["middlewares"]
    api, live = routers["/api"], routers["/api/live/"]
    assert (api["rule"], live["rule"]) == (
        "Path(`/api`) || PathPrefix(`/api/`)",
        "PathPrefix(`/api/live/`)",
    )
    assert live["priority"] > api["priority"], "the longest path wins"
    assert middlewares[api["middlewares"][0]] == {"rateLimit": {"average": 5, "burst": 10}}
    assert "no-upgrade" in api["middlewares"]
    assert "no-upgrade" not in live["middlewares"]
    children = {name: one for name, one in routers.items() if one.get("parentRefs") == ["/api"]}
    assert set(children) == {"/api direct", "/api counted"}
    assert up_to(10240) in children["/api direct"]["rule"]
    (counted,) = children["/api counted"]["middlewares"]
    assert middlewares[counted] == {"buffering": {"maxRequestBodyBytes": 10240}}
    service = routes["http"]["services"]["/api/live/"]["loadBalancer"]
    assert service["servers"] == [{"url": "http://api:8000"}]
    timeouts = routes["http"]["serversTransports"][service["serversTransport"]]
    assert timeouts["forwardingTimeouts"]["responseHeaderTimeout"] == "300s"


@pytest.mark.parametrize("limit", [10, 1024, 10240, 19999])
def test_a_body_is_within_its_limit(limit: int) -> None:
    pattern = re.compile(up_to(limit))
    allowed = [number for number in range(12 * limit) if pattern.fullmatch(str(number))]
    assert allowed == list(range(limit + 1))


def test_every_reference_in_the_routes_is_there(routes: dict[str, Any]) -> None:
    """Traefik only logs a wrong one, and disables the router."""
    http = routes["http"]
    for router in http["routers"].values():
        assert set(router.get("middlewares", ())) <= http["middlewares"].keys()
        assert set(router.get("parentRefs", ())) <= http["routers"].keys()
        service = router.get("service", "@internal")
        assert service.endswith("@internal") or service in http["services"]
    for service in http["services"].values():
        assert service["loadBalancer"]["serversTransport"] in http["serversTransports"]


def test_names_and_origins_are_those_of_the_gateway() -> None:
    rejected = files(composed(names=("here.test",), origins=("https://app.example.com",)))[1]
    routers = rejected["http"]["routers"]
    assert routers["other-name"]["rule"].startswith("!Host(`here.test`) && !HostRegexp(`^door(")
    allowed = r"^(http://here\.test:18080|https://here\.test|https://app\.example\.com)$"
    assert f"!HeaderRegexp(`Origin`, `{allowed}`)" in routers["other-site"]["rule"]
    assert routers["other-name"]["priority"] > routers["other-site"]["priority"] > 1000


def test_tls_is_that_of_the_other_engine(routes: dict[str, Any]) -> None:
    options = routes["tls"]["options"]["default"]
    assert options["minVersion"] == "VersionTLS12"
    assert len(options["cipherSuites"]) == 6
    assert all(one.startswith("TLS_ECDHE_") for one in options["cipherSuites"])
    assert all("GCM" in one or "POLY1305" in one for one in options["cipherSuites"])


def test_health_is_that_of_a_router(made: Composed, routes: dict[str, Any]) -> None:
    """So it fails if the file of the routes can't be read."""
    assert routes["http"]["routers"]["ping"] == {
        "entryPoints": ["probe1"],
        "rule": "Path(`/ping`)",
        "service": "ping@internal",
    }
    assert "/ping" in json.dumps(made.recorded.service("door")["healthcheck"])


def test_the_container_is_hardened(made: Composed) -> None:
    container = made.recorded.service("door")
    assert (container["readOnly"], container["user"]) == (True, "10001:10001")
    assert container["capabilities"] == {"drops": ["ALL"]}
    assert "docker.sock" not in json.dumps(container)
    assert set(made.recorded.of("Container")) == {"api-1", "door-1"}, "its metrics are its own"


def test_spans_are_sent_where_the_stack_has_traces() -> None:
    store = Endpoint(service="api", port="http", number=8000)
    process, _ = files(composed(traces={"OTEL_EXPORTER_OTLP_ENDPOINT": store}))
    assert process["tracing"] == {
        "serviceName": "door",
        "otlp": {"http": {"endpoint": "http://api:8000/v1/traces"}},
    }


def test_it_is_observed_without_an_exporter() -> None:
    chosen = settings(gateway={"engine": "traefik"}, profiles=["traces"])
    recorded = compose(reference.compose, settings=chosen).recorded
    assert not {name for name in recorded.of("Container") if name.startswith("gateway-exporter")}
    prometheus = json.loads(recorded.files["/prometheus-run-secrets/prometheus.json"])
    (job,) = (one for one in prometheus["scrape_configs"] if one["job_name"] == "gateway")
    assert job["static_configs"][0]["targets"] == ["gateway-1.gateway:8082"]
    process = yaml.safe_load(recorded.files["/gateway-run-secrets/traefik.yml"])
    # Else a series has the name of a route as its service.
    assert (job["honor_labels"], process["metrics"]["prometheus"]["addServicesLabels"]) == (
        True,
        False,
    )
    assert process["tracing"]["otlp"]["http"]["endpoint"] == "http://jaeger:4318/v1/traces"
    dashboards = recorded.files["/prometheus-run-secrets/dashboards.json"]
    assert "traefik_entrypoint_requests_total" in dashboards


def test_a_domain_is_certified_by_the_acme_server() -> None:
    made = composed(WITH_ACME)
    process, routes = files(made)
    assert process["certificatesResolvers"]["acme"]["acme"] == {
        "email": "team@example.com",
        "caServer": "https://acme.example.com/dir",
        "storage": "/var/lib/traefik/acme.json",
        "keyType": "EC256",
        "tlsChallenge": {},
    }
    assert process["entryPoints"]["https2"]["http"]["tls"] == {
        "certResolver": "acme",
        "domains": [{"main": "app.example.com"}],
    }
    headers = routes["http"]["middlewares"]["headers"]["headers"]
    assert headers["stsSeconds"] == 31536000
    mounts = made.recorded.service("door")["mounts"]
    assert "/var/lib/traefik" in [one["target"] for one in mounts]
    # Only with it does the gateway need more than its links and its clients.
    networks = [one.recorded.inputs["door-outward"] for one in (made, composed())]
    assert [one["options"][MASQUERADE] for one in networks] == ["true", "false"]


def test_an_authority_of_the_acme_server_is_a_file() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    acme = {**ACME, "authority": pem}
    made = composed({**WITH_ACME, "gateway": {"engine": "traefik", "acme": acme}})
    resolver = files(made)[0]["certificatesResolvers"]["acme"]["acme"]
    assert resolver["caCertificates"] == ["/run/secrets/acme-authority.pem"]
    assert pem in made.recorded.files.values()


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({"gateway": {"engine": "traefik", "acme": ACME}}, {"strata:gateway.acme"}),
        ({"domain": "app.example.com", "gateway": {"acme": ACME}}, {"strata:gateway.acme"}),
    ],
    ids=["no domain", "NGINX"],
)
def test_what_has_no_effect_is_rejected(given: dict[str, Any], paths: set[str]) -> None:
    error, _ = refused(door, settings=settings(**given))
    assert {problem.path for problem in error.problems} == paths


@pytest.mark.parametrize(
    ("gateway", "path"),
    [
        ({"engine": "caddy"}, "strata:gateway.engine"),
        ({"acme": {**ACME, "email": "nobody"}}, "strata:gateway.acme.email"),
        ({"acme": {**ACME, "server": "http://acme.example.com/dir"}}, "strata:gateway.acme.server"),
        ({"acme": {**ACME, "authority": "/etc/ca.pem"}}, "strata:gateway.acme.authority"),
        ({"acme": {}}, "strata:gateway.acme.email"),
    ],
)
def test_a_wrong_setting_is_named(gateway: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidStackError) as caught:
        config.load({"strata:gateway": json.dumps(gateway)})
    assert [problem.path for problem in caught.value.problems] == [path]


def test_on_eks_it_is_behind_the_load_balancer_as_nginx_is() -> None:
    program = planned.plan({"gateway": {"engine": "traefik"}})
    objects = {f"{one['kind']} {one['metadata']['name']}": one for one in program.manifests()}
    pod = objects["Deployment gateway"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"].startswith("docker.io/library/traefik@sha256:")
    assert container["readinessProbe"]["httpGet"]["path"] == "/ping"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    (published,) = objects["Service gateway-public"]["spec"]["ports"]
    assert (published["port"], published["targetPort"]) == (443, 8443)
    (text,) = (
        one["stringData"]["traefik.yml"]
        for one in objects.values()
        if "traefik.yml" in one.get("stringData", {})
    )
    assert yaml.safe_load(text)["entryPoints"]["https1"]["address"] == "0.0.0.0:8443"


def test_on_eks_acm_issues_the_certificate() -> None:
    with pytest.raises(InvalidStackError) as caught:
        planned.plan({"gateway": {"engine": "traefik", "acme": ACME}})
    (problem,) = caught.value.problems
    assert str(problem).startswith("strata:gateway.acme: works only on Docker, and ACM issues")
