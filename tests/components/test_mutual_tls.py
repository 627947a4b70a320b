"""Whoever connects to a port with mutual TLS has a certificate for that, and says so in its configuration."""

import json
from functools import cache
from typing import Any

import pytest
from cryptography import x509

import systems
from strata.collect import collect
from strata.components import AppService, AppServiceArgs, Datastore, DatastoreArgs
from strata.components.engines.kurrentdb import KURRENTDB
from strata.components.engines.memgraph import MEMGRAPH
from strata.components.engines.opensearch import OPENSEARCH
from strata.components.engines.questdb import QUESTDB
from strata.components.engines.redis_cluster import REDIS_CLUSTER
from strata.components.mutual_tls import (
    CA_FILE,
    CLIENT_CERTIFICATE_FILE,
    PRIVATE_KEY_FILE,
)
from strata.config import PlatformName, Settings
from strata.model import (
    Composition,
    Workload,
    authority_certificate,
    client_certificate,
    private_key,
)
from strata.model.text import parts
from strata.stack import Stack
from tests.components.example import SMALL
from tests.components.kubernetes import stack as on_kubernetes
from tests.components.stack import refused


@cache
def composition(system: str, platform: PlatformName) -> Composition:
    return collect(systems.find(system), Settings(platform=platform))


def clients(system: str, platform: PlatformName) -> list[Workload]:
    return [
        each
        for each in composition(system, platform).workloads
        if any(link.mutual_tls for link in each.links)
    ]


@pytest.mark.parametrize("platform", [PlatformName.DOCKER, PlatformName.KUBERNETES])
@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (
            "datapunk",
            {
                "gateway",
                "nexus",
                "cortex",
                "postgres-exporter",
                "redis-exporter",
                "prometheus",
            },
        ),
        ("project88", {"web", "worker", "db-exporter", "redis-exporter"}),
        ("reference", set()),
    ],
)
def test_each_client_has_a_certificate_of_its_own(
    system: str, expected: set[str], platform: PlatformName
) -> None:
    found = clients(system, platform)
    assert {each.name for each in found} == expected
    for each in found:
        files = {file.path: file.content for file in each.files}
        assert files[CLIENT_CERTIFICATE_FILE] == client_certificate(each.name)
        assert files[PRIVATE_KEY_FILE] == private_key(each.name, (each.name,))
        assert files[CA_FILE] == authority_certificate()


@pytest.mark.parametrize("platform", [PlatformName.DOCKER, PlatformName.KUBERNETES])
def test_prometheus_presents_its_certificate_to_such_ports_only(platform: PlatformName) -> None:
    (prometheus,) = (each for each in clients("datapunk", platform) if each.name == "prometheus")
    (content,) = (
        file.content for file in prometheus.files if file.path.endswith("prometheus.json")
    )
    text = "".join(part if isinstance(part, str) else "x" for part in parts(content))
    jobs: list[dict[str, Any]] = json.loads(text)["scrape_configs"]
    secured = {job["tls_config"].get("server_name") for job in jobs if "cert_file" in str(job)}
    assert secured == {"nexus", "cortex", "rabbitmq", "consul"}
    assert [job["scheme"] for job in jobs if "cert_file" in str(job)] == ["https"] * 4
    if platform is PlatformName.KUBERNETES:
        (pods,) = (job for job in jobs if job["job_name"] == "pods")
        assert "nexus" not in json.dumps(pods), "no second, plain target"


def test_a_node_of_a_cluster_is_a_server_by_its_own_host_name() -> None:
    def describe(stack: Stack) -> None:
        Datastore("store", DatastoreArgs(stack=stack, engine=REDIS_CLUSTER, mutual_tls=True))

    files = {
        name: content
        for each in on_kubernetes.compose(describe).recorded.of("Secret").values()
        for name, content in each["stringData"].items()
    }
    certificate = x509.load_pem_x509_certificates(files["certificate.pem"].encode())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "store",
        *(f"store-{ordinal}.store-pods" for ordinal in range(6)),
    ]


@pytest.mark.parametrize("engine", [OPENSEARCH, QUESTDB, MEMGRAPH, KURRENTDB])
def test_an_engine_that_cant_verify_clients_is_rejected(engine: Any) -> None:
    def describe(stack: Stack) -> None:
        Datastore("store", DatastoreArgs(stack=stack, engine=engine, mutual_tls=True))

    error, _ = refused(describe)
    assert f"service store: mutual_tls: {engine.name} doesn't verify certificates" in str(error)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"published": 9000}, "requires a port that isn't published"),
        ({"port": None}, "requires a port that isn't published"),
        ({"honours_listen": False}, "requires a program that reads LISTEN_ADDRESSES"),
    ],
)
def test_an_application_that_cant_keep_others_out_is_rejected(
    fields: dict[str, Any], message: str
) -> None:
    def describe(stack: Stack) -> None:
        AppService(
            "app",
            AppServiceArgs(
                stack=stack, image="probe-server", resources=SMALL, mutual_tls=True, **fields
            ),
        )

    assert f"service app: mutual_tls: {message}" in str(refused(describe)[0])


def test_traefik_presents_its_certificate_to_such_services() -> None:
    settings = Settings.model_validate({"gateway": {"engine": "traefik"}})
    composed = collect(systems.find("datapunk"), settings)
    (gateway,) = (each for each in composed.services if each.name == "gateway")
    files = {file.path: file.content for file in gateway.files}
    assert files[CLIENT_CERTIFICATE_FILE] == client_certificate("gateway")
    (routes,) = (content for path, content in files.items() if path.endswith("routes.json"))
    assert isinstance(routes, str)
    described = json.loads(routes)["http"]
    service = described["services"]["/search"]["loadBalancer"]
    assert service["servers"] == [{"url": "https://nexus:8443"}]
    transport = described["serversTransports"][service["serversTransport"]]
    assert (transport["serverName"], transport["rootCAs"]) == ("nexus", [CA_FILE])
    assert transport["certificates"][0]["certFile"] == CLIENT_CERTIFICATE_FILE
